// Package file is the sink that appends records to files, one line each.
package file

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file.
type Config struct {
	Dir           string            `yaml:"dir" required:"true" path:"true" doc:"The folder that all files lie in. It is made where it is missing at the start, and no name leads out of it. One that is removed later is waited for."`
	Path          handlers.Template `yaml:"path" required:"true" place:"name" doc:"The name of the file within 'dir', such as '${payload.region}/clicks.jsonl'. A '/' that is written out makes folders; one that comes from a record is an error for that record. So is a part of the name that begins with '.' or '-', begins or ends with a space, or holds a control character or a mark that changes how it reads."`
	Format        string            `yaml:"format" default:"value" enum:"value,record,raw" doc:"What is appended: 'value' is the record's value as one line, 'record' the whole record as one line of JSON, 'raw' the value's bytes as they are, with nothing between them."`
	Fsync         string            `yaml:"fsync" default:"batch" enum:"batch,interval,none" doc:"When a record counts as written: with 'batch' once it is on the disk; with 'interval' once the operating system has it, which then brings it to the disk within 'fsync_interval'; with 'none' once the operating system has it."`
	FsyncInterval time.Duration     `yaml:"fsync_interval" default:"1s" min:"10ms" max:"1h" doc:"With 'fsync: interval', how much time a crash of the machine may lose."`
	Batch         BatchConfig       `yaml:"batch" doc:"How long an fsync waits for more records to go with it. Records that come while one runs share the next in any case."`
	Rotate        RotateConfig      `yaml:"rotate" doc:"When a file is set aside under a name with the time in it, and a new one begun."`
	MaxNewFiles   int               `yaml:"max_new_files" default:"10000" min:"1" doc:"How many files a process makes in an hour at most, so that a field with endless values in 'path' does not fill the folder. Past it, records that need a new one go to the dead letters, and the others flow on; where no record has a part in 'path' the pipeline pauses."`
	OpenFiles     int               `yaml:"open_files" default:"512" min:"8" max:"100000" doc:"How many files are kept open. Beyond it, the one that was not used for longest is closed."`
}

// BatchConfig is how long an fsync waits for more.
type BatchConfig struct {
	Count int           `yaml:"count" default:"10000" min:"1" doc:"How many records end the wait, and share an fsync at most."`
	Bytes handlers.Size `yaml:"bytes" default:"8MiB" min:"1B" doc:"How many bytes end the wait, and share an fsync at most."`
	Wait  time.Duration `yaml:"wait" default:"0s" max:"1m" doc:"How long to wait at most. With 0 an fsync never waits."`
}

// RotateConfig is when a file is set aside.
type RotateConfig struct {
	Size  handlers.Size `yaml:"size" min:"1kB" doc:"Before it grows larger than this; without it, at no size. A batch is never split, so the first one of a file may be larger."`
	Every time.Duration `yaml:"every" min:"1s" doc:"At the first write of a new period, such as '1h' or '1d'; without it, at no time. Periods begin at midnight UTC."`
}

// rotates tells whether files are ever set aside.
func (r RotateConfig) rotates() bool { return r.Size > 0 || r.Every > 0 }

const doc = "Appends each record as one line to a file in a folder. Nothing is ever overwritten. " +
	"`path` may depend on the record, and stays within `dir` whatever the record says, also where links lie in the " +
	"folder.\n\n" +
	"A file that another program moved away, such as logrotate, is begun anew. Several processes may write to one file."

const delivery = "With `fsync: batch`, the default, a record counts as written once it is on the disk. Records that " +
	"are written at the same time, also by other lanes, share one fsync. " +
	"With `interval` and `none` it counts as written once the operating system has it: a crash of Millrace loses " +
	"nothing, a crash of the machine what was not on the disk yet.\n\n" +
	"A disk that is full or fails pauses the pipeline, and nothing goes to the dead letters. After a failed fsync " +
	"the lines that it was for are written again, and may stand in the file twice. " +
	"An end without a newline is moved, before the next line is written, to a file beside it with `.torn` behind its " +
	"name, unless it is a whole JSON object or list, which only gets its newline: a line that a crash tore was " +
	"not acknowledged, and its record comes again; what somebody else wrote is not lost. With `format: raw` " +
	"there is nothing to tell a cut record by."

const example = "file:\n  dir: clicks\n  path: ${payload.region}.jsonl\n  rotate: {size: 100MB, every: 1d}\n"

// Spec describes the sink.
func Spec() handlers.Spec {
	spec := handlers.Define("file", doc, example,
		func(config Config, env handlers.Env) (handlers.Sink, error) {
			return open(config, env.Logger, realDisk())
		})
	spec.Delivery = delivery
	return spec
}

// Check finds what the types alone do not tell.
func (c *Config) Check() []handlers.Issue {
	var issues []handlers.Issue
	if err := checkName(c.Path.Sample, c.longest(), c.Path.Sample); err != nil {
		issues = append(issues, handlers.Issue{Field: "path", Message: "path " + err.Error()})
	}
	if c.Batch.Wait > 0 && c.Fsync != "batch" {
		issues = append(issues, handlers.Issue{Field: "batch.wait", Warning: true,
			Message: "batch.wait has no effect: with fsync: " + c.Fsync + " no record waits for an fsync"})
	}
	return issues
}

// disk is what a test may make fail.
type disk struct {
	write func(f *os.File, data []byte) (int, error)
	sync  func(f *os.File) error
	now   func() time.Time
}

func realDisk() disk {
	return disk{
		write: func(f *os.File, data []byte) (int, error) { return f.Write(data) },
		sync:  func(f *os.File) error { return f.Sync() },
		now:   time.Now,
	}
}

// sink keeps files open between writes. Nothing of the file system is touched
// before the first Write, since a dry run opens sinks as well.
type sink struct {
	config Config
	log    *slog.Logger
	disk   disk
	// batches put together what lanes write at the same time.
	batches *handlers.Coalescer
	syncing sync.WaitGroup // of what brings files to the disk every interval
	ended   chan struct{}  // closed by Close

	mu    sync.Mutex
	root  *os.Root
	files map[string]*file
	uses  int64 // counts what was used, to find what was not for longest
	made  int   // files made in the hour that began at hour
	hour  time.Time
}

func open(config Config, log *slog.Logger, d disk) (*sink, error) {
	if log == nil {
		return nil, errors.New("no logger is given")
	}
	s := &sink{config: config, log: log, disk: d, files: map[string]*file{}, ended: make(chan struct{})}
	batch := handlers.Batch{
		Count: config.Batch.Count, Bytes: int64(config.Batch.Bytes),
		Size: func(c *handlers.Call) int { return len(c.Request.(*request).data) },
	}
	if config.Fsync == "batch" {
		batch.Wait = config.Batch.Wait
	}
	s.batches = handlers.Coalesce(s.write, batch)
	return s, nil
}
