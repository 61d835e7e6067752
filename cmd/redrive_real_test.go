//go:build real

package cmd

import "testing"

func TestRealRedrive(t *testing.T)              { testRedrive(t, kafkaAndRedis(t), 1000) }
func TestRealRedriveIsExhausted(t *testing.T)   { testRedriveIsExhausted(t, kafkaAndRedis(t)) }
func TestRealRedriveOfExpiredKeys(t *testing.T) { testRedriveOfExpiredKeys(t, kafkaAndRedis(t)) }
func TestRealRedriveIsKilled(t *testing.T)      { testRedriveIsKilled(t, kafkaAndRedis(t), 1500) }
func TestRealDiscardIsKilled(t *testing.T)      { testDiscardIsKilled(t, kafkaAndRedis(t), 4000) }
func TestRealRedriveTwice(t *testing.T)         { testRedriveTwice(t, kafkaAndRedis(t)) }
func TestRealRedriveThatFailsIsKilled(t *testing.T) {
	testRedriveThatFailsIsKilled(t, kafkaAndRedis(t), 600)
}
