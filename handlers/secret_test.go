package handlers_test

import (
	"testing"

	"github.com/millrace/millrace/handlers"
)

func TestSecretNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "Set-Cookie": true, "X-Auth": true, "X-Auth-Token": true,
		"X-Functions-Key": true, "Ocp-Apim-Subscription-Key": true, "x-goog-api-key": true, "apiKey": true, "accessKey": true,
		"AWS_SECRET_ACCESS_KEY": true, "AccountKey": true, "private_key": true, "signing-key": true, "X-Hub-Signature-256": true,
		"sig": true, "Signature": true, "pwd": true, "passphrase": true, "DB_PASSWORD": true, "passwd": true, "sessionId": true,
		"client_secret": true, "bearer": true, "jwt": true, "credentials": true,
		"Idempotency-Key": false, "order_key": false, "partitionKey": false, "x-routing-key": false, "cache-key": false, "primary_key": false,
		"key": false, "code": false, "country_code": false, "author": false, "X-Author": false, "signal": false, "design": false,
		"session_timeout": false, "private_network": false, "monkey": false, "Content-Type": false, "keyword": false, "basic": false,
	} {
		if got := handlers.SecretName(name); got != want {
			t.Errorf("the name %s: got %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{"key": true, "code": true, "KEY": true, "sig": true, "page": false, "country_code": false} {
		if got := handlers.SecretParameter(name); got != want {
			t.Errorf("the parameter %s: got %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"SLACK_WEBHOOK_URL": true, "API_TOKEN": true, "X_AUTH": true, "STRIPE_KEY": true, "DATABASE_PWD": true,
		"PWD": false, "OLDPWD": false, "HOME": false, "TOKEN_FILE": false, "SECRETS_DIR": false, "KEY_PATH": false, "PORT": false,
	} {
		if got := handlers.SecretVariable(name); got != want {
			t.Errorf("the variable %s: got %v, want %v", name, got, want)
		}
	}
	const text = "https://h/x?sig=abc&page=1&code=d%20e&X-Auth=f#y"
	if got := handlers.ShownQuery(text); got != "https://h/x?sig=[redacted]&page=1&code=[redacted]&X-Auth=[redacted]#y" {
		t.Error(got)
	}
}
