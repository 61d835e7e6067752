// Package redisserver starts redis-server 7 or newer.
package redisserver
