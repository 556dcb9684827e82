cd /tmp/h1/op
export XDG_DATA_HOME=/tmp/h1/op/xdg XDG_CONFIG_HOME=/tmp/h1/op/xdgc CADDY_ADMIN=localhost:23019
c() { echo "\$ caddy password-reset $*"; nice ../main/caddy password-reset "$@"; echo "[rc=$?]"; }
ask() { curl -s -m 10 http://127.0.0.1:23080/password-reset -H 'Content-Type: application/json' -d "{\"login\":\"$1\"}"; }
