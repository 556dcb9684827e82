<?php require __DIR__ . '/../../receiver.php';
