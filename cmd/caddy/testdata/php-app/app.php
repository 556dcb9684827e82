<?php
// A small app of the old kind: a file for each page, and its accounts and
// sessions in one SQLite file, which it shares with the receiver.

declare(strict_types=1);

function store(): PDO
{
    $db = new PDO('sqlite:' . getenv('RECEIVER_DATA'), null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $db->exec('PRAGMA busy_timeout = 3000');
    $db->exec('CREATE TABLE IF NOT EXISTS accounts (
        id TEXT PRIMARY KEY, login TEXT NOT NULL COLLATE NOCASE, email TEXT NOT NULL COLLATE NOCASE,
        name TEXT NOT NULL, locale TEXT NOT NULL, password_hash TEXT,
        reset_id TEXT, reset_sequence INTEGER NOT NULL DEFAULT 0)');
    $db->exec('CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, account_id TEXT NOT NULL)');
    $add = $db->prepare('INSERT OR IGNORE INTO accounts (id, login, email, name, locale, password_hash) VALUES (?, ?, ?, ?, ?, ?)');
    foreach (['42' => 'alice', '43' => 'bob'] as $id => $login) {
        $hash = password_hash('the very first password', PASSWORD_BCRYPT, ['cost' => 4]);
        $add->execute([(string) $id, $login, "$login@example.com", ucfirst($login), 'en', $hash]);
    }
    return $db;
}

/** The name of whoever is logged in. */
function visitor(): ?string
{
    $query = store()->prepare('SELECT name FROM sessions JOIN accounts ON accounts.id = account_id WHERE token = ?');
    $query->execute([$_COOKIE['session'] ?? '']);
    return $query->fetchColumn() ?: null;
}

function page(string $content): void
{
    echo '<!doctype html><html lang="en"><title>Example</title>', $content;
}
