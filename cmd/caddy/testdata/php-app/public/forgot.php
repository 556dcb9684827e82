<?php
declare(strict_types=1);

require __DIR__ . '/../app.php';

page('<p>The app\'s own reset page, which nobody should see any more.');
