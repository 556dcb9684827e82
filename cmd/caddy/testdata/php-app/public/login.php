<?php
declare(strict_types=1);

require __DIR__ . '/../app.php';

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $db = store();
    $query = $db->prepare('SELECT id, password_hash FROM accounts WHERE login = ?');
    $query->execute([$_POST['login'] ?? '']);
    $account = $query->fetch(PDO::FETCH_ASSOC);
    if ($account !== false && password_verify($_POST['password'] ?? '', (string) $account['password_hash'])) {
        $token = bin2hex(random_bytes(16));
        $db->prepare('INSERT INTO sessions (token, account_id) VALUES (?, ?)')->execute([$token, $account['id']]);
        setcookie('session', $token, ['path' => '/', 'httponly' => true, 'samesite' => 'Lax']);
        header('Location: /', true, 303);
        exit;
    }
    http_response_code(401);
}
page('<form method="post"><input name="login"><input name="password" type="password"><button>Log in</button></form>
<a href="/forgot.php">Forgot your password?</a>');
