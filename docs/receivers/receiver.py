"""A receiver in Python 3.9 or newer, with the standard library only.

It keeps its accounts in SQLite; the statements are plain SQL. Try it with

    RESET_WEBHOOK_SECRET=whsec_... PORT=3000 python3 receiver.py
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROUNDS = 600_000  # of PBKDF2; use what your login uses
DATA = os.environ.get("RECEIVER_DATA", "accounts.db")
SECRETS = [  # during a rotation the new and the old one, with a space between
    base64.b64decode(s.removeprefix("whsec_"), validate=True)
    for s in os.environ.get("RESET_WEBHOOK_SECRET", "").split()
]
if not SECRETS or min(map(len, SECRETS)) < 24:
    sys.exit("RESET_WEBHOOK_SECRET is not whsec_ and base64 of at least 24 bytes")


def signed(headers, body):
    """Are the signature over the raw body and the age right?"""
    msg_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not msg_id or not re.fullmatch("[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > 300:
        return False
    text = f"{msg_id}.{timestamp}.".encode() + body
    for secret in SECRETS:
        expected = b"v1," + base64.b64encode(hmac.digest(secret, text, "sha256"))
        for signature in headers.get("webhook-signature", "").split(" "):
            if hmac.compare_digest(signature.encode(), expected):  # in constant time
                return True
    return False


@contextlib.contextmanager
def transaction():
    """Commits at the end of the block, rolls back on an exception."""
    db = sqlite3.connect(DATA, timeout=3, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    finally:
        db.close()


def create():
    with transaction() as db:
        # NOCASE folds ASCII letters only, as it should be: with Unicode's
        # folding, one person's login can match another's.
        db.execute("""CREATE TABLE IF NOT EXISTS accounts (
            id TEXT PRIMARY KEY, login TEXT NOT NULL COLLATE NOCASE,
            email TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL, locale TEXT NOT NULL,
            password_hash TEXT,
            reset_id TEXT, reset_sequence INTEGER NOT NULL DEFAULT 0)""")  # the last change applied
        db.execute("CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, account_id TEXT NOT NULL)")
        db.execute("""INSERT OR IGNORE INTO accounts (id, login, email, name, locale)
            VALUES ('42', 'alice', 'alice@example.com', 'Alice', 'en')""")


def lookup(_, data):
    fields = ("id", "login", "email", "name", "locale")
    with transaction() as db:
        rows = db.execute(
            f"SELECT {', '.join(fields)} FROM accounts WHERE login = ?1 OR email = ?1 LIMIT 5",
            (data["login"],),
        ).fetchall()
    return 200, {"accounts": [dict(zip(fields, row)) for row in rows]}


def change(msg_id, data):
    account_id, password = data["account"]["id"], data["password"]["value"]
    with transaction() as db:
        account = db.execute(
            "SELECT login, reset_id, reset_sequence FROM accounts WHERE id = ?", (account_id,)
        ).fetchone()
        if account is None:
            return 410, None
        login, reset_id, reset_sequence = account
        if reset_id == msg_id:  # applied before, but the answer was lost
            return 204, None
        if data["sequence"] < reset_sequence:  # a newer change was applied
            return 409, None
        if data["password"]["format"] != "plain":
            return 400, None
        if login.lower() in password.lower():  # the app's own rules
            return 422, {"detail": "The password must not contain your user name."}
        salt = os.urandom(16)
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
        db.execute(
            "UPDATE accounts SET password_hash = ?, reset_id = ?, reset_sequence = ? WHERE id = ?",
            (f"pbkdf2-sha256${ROUNDS}${salt.hex()}${key.hex()}", msg_id, data["sequence"], account_id),
        )
        # Whoever was logged in with the old password is no longer.
        db.execute("DELETE FROM sessions WHERE account_id = ?", (account_id,))
    print(f"password changed: account {account_id}, id {msg_id}", file=sys.stderr, flush=True)
    return 204, None


HOOKS = {
    "/hooks/lookup": ("account.lookup", lookup),
    "/hooks/password-changed": ("password.changed", change),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,5}", length) or int(length) > 20_000:
            self.close_connection = True
            return self.answer(413, None)
        body = self.rfile.read(int(length))
        if self.path not in HOOKS:
            return self.answer(404, None)
        if not signed(self.headers, body):
            return self.answer(401, None)
        try:
            message = json.loads(body)
            kind, hook = HOOKS[self.path]
            if message["type"] == "ping":  # somebody checks the set-up
                return self.answer(204, None)
            if message["type"] != kind:
                return self.answer(400, None)
            status, result = hook(self.headers["webhook-id"], message["data"])
        except Exception as error:  # the sender tries again
            print(f"{self.path}: {error!r}", file=sys.stderr, flush=True)
            status, result = 500, None
        self.answer(status, result)

    def answer(self, status, result):
        body = b"" if result is None else json.dumps(result).encode()
        self.send_response(status)
        if body:
            kind = "application/problem+json" if status == 422 else "application/json"
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    create()
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
