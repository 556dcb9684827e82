# Password reset for a PHP app. The hooks are served on a site of their own that
# only this machine reaches, by the same PHP.
#
# Settings of the environment, with the defaults used below:
#   RESET_SITE        what Caddy serves: app.example.com
#   RESET_BASE_URL    its public address, which links in mails begin with: https://app.example.com
#   RESET_ROOT        folder of the app: /srv/app/public
#   RESET_PHP         PHP-FPM: unix//run/php/php-fpm.sock
#   RESET_HOOKS       where the hooks are served: 127.0.0.1:8081
#   RESET_FROM        sender of the mails: support@example.com
#   RESET_SMTP        host and port of the mail server: mail.example.com:587
#   RESET_SMTP_USER   who signs in there: reset@example.com
#   RESET_PROXIES     proxies in front of Caddy: private_ranges
# Secrets, which are read from the environment and never stand in the configuration:
#   RESET_SMTP_PASSWORD    password of RESET_SMTP_USER
#   RESET_WEBHOOK_SECRET   shared with the app; make one with: echo "whsec_$(openssl rand -base64 32)"
{
	grace_period 30s
	servers {
		trusted_proxies static {$RESET_PROXIES:private_ranges}
		trusted_proxies_strict
	}
	password_reset {
		smtp {$RESET_SMTP:mail.example.com:587} {
			auth {$RESET_SMTP_USER:reset@example.com} {env.RESET_SMTP_PASSWORD}
		}
	}
}

{$RESET_SITE:app.example.com} {
	root {$RESET_ROOT:/srv/app/public}

	password_reset {
		base_url {$RESET_BASE_URL:https://app.example.com}
		login_url /login.php
		name "Example"
		from "Example Support <{$RESET_FROM:support@example.com}>"
		directory webhook http://{$RESET_HOOKS:127.0.0.1:8081}/hooks/lookup.php
		target webhook http://{$RESET_HOOKS:127.0.0.1:8081}/hooks/password-changed.php
		webhook_secret {env.RESET_WEBHOOK_SECRET}

		# PHP also answers to /forgot.php/anything and, with a front controller,
		# to /index.php/forgot.
		take_over /forgot.php* /index.php/forgot*
	}

	# Keeps visitors from the hooks, also as /index.php/hooks/….
	respond /hooks/* 404
	respond /index.php/hooks/* 404

	php_fastcgi {$RESET_PHP:unix//run/php/php-fpm.sock}
	file_server
}

# The hooks, for Caddy itself only.
http://{$RESET_HOOKS:127.0.0.1:8081} {
	bind 127.0.0.1
	root {$RESET_ROOT:/srv/app/public}
	handle /hooks/* {
		php_fastcgi {$RESET_PHP:unix//run/php/php-fpm.sock}
	}
	respond 404
}
