package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// receive is the process that http effects go to: each call is answered after a delay,
// and counted. GET /effects tells what came.
func receive(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want a delay; got %q", args)
	}
	delay, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	var effects tally
	mux := http.NewServeMux()
	mux.HandleFunc("GET /effects", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(effects.figures())
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		time.Sleep(delay)
		effects.take(body)
		w.WriteHeader(http.StatusNoContent)
	})
	server := &http.Server{Handler: mux}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	<-ctx.Done()
	err = server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// receiver is that process.
type receiver struct {
	*process
	url string
}

func (t *tools) startReceiver(delay time.Duration) (*receiver, error) {
	cmd := exec.Command(t.self, "receiver", delay.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	address, err := firstLine(out)
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return &receiver{process: p, url: "http://" + address + "/"}, nil
}

func (r *receiver) effects(ctx context.Context) (f figuresOfEffects, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"effects", nil)
	if err != nil {
		return f, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return f, err
	}
	defer response.Body.Close()
	return f, json.NewDecoder(response.Body).Decode(&f)
}
