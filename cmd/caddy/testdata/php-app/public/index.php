<?php
// The front controller, which what is no file comes to. Pages may be named
// behind it as well, as old apps do: /index.php/login.

declare(strict_types=1);

if (preg_match('~^/(login|forgot|hooks/lookup|hooks/password-changed)(\.php)?$~D', $_SERVER['PATH_INFO'] ?? '', $match)) {
    require __DIR__ . "/$match[1].php";
    exit;
}

require __DIR__ . '/../app.php';

if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/') {
    http_response_code(404);
    page('<p>The app has no such page.');
    exit;
}
page('<p>Hello, ' . htmlspecialchars(visitor() ?? 'stranger') . '.');
