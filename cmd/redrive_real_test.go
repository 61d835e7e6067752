//go:build real

package cmd

import "testing"

func TestRealRedrive(t *testing.T) {
	t.Parallel()
	testRedrive(t, kafkaAndRedis(t), 1000)
}

func TestRealRedriveIsExhausted(t *testing.T) {
	t.Parallel()
	testRedriveIsExhausted(t, kafkaAndRedis(t))
}

func TestRealRedriveOfExpiredKeys(t *testing.T) {
	t.Parallel()
	testRedriveOfExpiredKeys(t, kafkaAndRedis(t))
}

func TestRealRedriveIsKilled(t *testing.T) {
	t.Parallel()
	testRedriveIsKilled(t, kafkaAndRedis(t), 1500)
}

func TestRealDiscardIsKilled(t *testing.T) {
	t.Parallel()
	testDiscardIsKilled(t, kafkaAndRedis(t), 4000)
}

func TestRealRedriveTwice(t *testing.T) {
	t.Parallel()
	testRedriveTwice(t, kafkaAndRedis(t))
}

func TestRealRedriveThatFailsIsKilled(t *testing.T) {
	t.Parallel()
	testRedriveThatFailsIsKilled(t, kafkaAndRedis(t), 600)
}
