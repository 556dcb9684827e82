<?php
// A receiver in PHP 8.1 or newer, with PDO. It keeps its accounts in SQLite
// (Debian package php-sqlite3); the statements are plain SQL. Try it with
//
//     RESET_WEBHOOK_SECRET=whsec_… php -S 127.0.0.1:3000 receiver.php

declare(strict_types=1);

// With display_errors on, PHP answers 200 after a fatal error.
set_exception_handler(function (Throwable $e): void {
    error_log((string) $e);
    http_response_code(500);
});

function answer(int $status, ?array $json = null, string $type = 'application/json'): never
{
    http_response_code($status);
    if ($json !== null) {
        header("Content-Type: $type");
        echo json_encode($json, JSON_THROW_ON_ERROR);
    }
    exit;
}

/** The secrets: during a rotation the new and the old one, with a space between. */
function secrets(): array
{
    $keys = [];
    foreach (preg_split('/ +/', (string) getenv('RESET_WEBHOOK_SECRET'), -1, PREG_SPLIT_NO_EMPTY) as $secret) {
        $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
        if ($key === false || strlen($key) < 24) {
            throw new RuntimeException('RESET_WEBHOOK_SECRET is not whsec_ and base64 of at least 24 bytes');
        }
        $keys[] = $key;
    }
    if (!$keys) {
        throw new RuntimeException('RESET_WEBHOOK_SECRET is not set (for PHP-FPM: env[RESET_WEBHOOK_SECRET] in the pool)');
    }
    return $keys;
}

/** Are the signature over the raw body and the age right? */
function signed(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if ($id === '' || !preg_match('/^[0-9]{1,12}$/D', $timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    foreach (secrets() as $secret) {
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $secret, true));
        foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
            if (hash_equals($expected, $signature)) { // in constant time
                return true;
            }
        }
    }
    return false;
}

function database(): PDO
{
    $file = getenv('RECEIVER_DATA') ?: 'accounts.db';
    $new = !file_exists($file);
    $db = new PDO("sqlite:$file", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $db->exec('PRAGMA busy_timeout = 3000');
    if ($new) {
        $db->exec('CREATE TABLE IF NOT EXISTS accounts (
            id TEXT PRIMARY KEY, login TEXT NOT NULL COLLATE NOCASE, email TEXT NOT NULL COLLATE NOCASE,
            name TEXT NOT NULL, locale TEXT NOT NULL, password_hash TEXT,
            reset_id TEXT, reset_sequence INTEGER NOT NULL DEFAULT 0)'); // the last change applied
        $db->exec('CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, account_id TEXT NOT NULL)');
        $db->exec("INSERT OR IGNORE INTO accounts (id, login, email, name, locale)
            VALUES ('42', 'alice', 'alice@example.com', 'Alice', 'en')");
    }
    return $db;
}

function lookup(array $data): never
{
    // NOCASE folds ASCII letters only, as it should be: with Unicode's folding,
    // one person's login can match another's.
    $query = database()->prepare('SELECT id, login, email, name, locale FROM accounts
        WHERE login = :login OR email = :login LIMIT 5');
    $query->execute(['login' => $data['login']]);
    answer(200, ['accounts' => $query->fetchAll(PDO::FETCH_ASSOC)]);
}

function change(string $id, array $data): never
{
    $db = database();
    $db->exec('BEGIN IMMEDIATE'); // MySQL, PostgreSQL: BEGIN, and FOR UPDATE behind the SELECT
    $query = $db->prepare('SELECT login, reset_id, reset_sequence FROM accounts WHERE id = ?');
    $query->execute([$data['account']['id']]);
    $account = $query->fetch(PDO::FETCH_ASSOC);
    $query->closeCursor();
    $password = $data['password']['value'];

    if ($account === false) {
        answer(410);
    }
    if ($account['reset_id'] === $id) { // applied before, but the answer was lost
        answer(204);
    }
    if ($data['sequence'] < (int) $account['reset_sequence']) { // a newer change was applied
        answer(409);
    }
    if ($data['password']['format'] !== 'plain') {
        answer(400);
    }
    if (stripos($password, $account['login']) !== false) { // the app's own rules
        answer(422, ['detail' => 'The password must not contain your user name.'], 'application/problem+json');
    }
    if (strlen($password) > 72) { // bcrypt would ignore the rest
        answer(422, ['detail' => 'The password must not be longer than 72 bytes.'], 'application/problem+json');
    }

    $db->prepare('UPDATE accounts SET password_hash = ?, reset_id = ?, reset_sequence = ? WHERE id = ?')
        ->execute([password_hash($password, PASSWORD_BCRYPT), $id, $data['sequence'], $data['account']['id']]);
    // Whoever was logged in with the old password is no longer.
    $db->prepare('DELETE FROM sessions WHERE account_id = ?')->execute([$data['account']['id']]);
    $db->exec('COMMIT');
    error_log("password changed: account {$data['account']['id']}, id $id");
    answer(204);
}

$body = (string) file_get_contents('php://input', length: 20001);
if (strlen($body) > 20000) {
    answer(413);
}
$path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$path = $_SERVER['REQUEST_METHOD'] . ' ' . preg_replace('/\.php$/D', '', $path); // hooks/lookup.php may require this file
if ($path !== 'POST /hooks/lookup' && $path !== 'POST /hooks/password-changed') {
    answer(404);
}
if (!signed($body)) {
    answer(401);
}
$message = json_decode($body, true);
match ([$path, $message['type'] ?? '']) {
    ['POST /hooks/lookup', 'ping'], ['POST /hooks/password-changed', 'ping'] => answer(204), // somebody checks the set-up
    ['POST /hooks/lookup', 'account.lookup'] => lookup($message['data']),
    ['POST /hooks/password-changed', 'password.changed'] => change($_SERVER['HTTP_WEBHOOK_ID'], $message['data']),
    default => answer(400),
};
