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
	Dir           string            `yaml:"dir" required:"true" path:"true" doc:"The folder that all files lie in, made where it is missing; no name leads out of it."`
	Path          handlers.Template `yaml:"path" required:"true" place:"name" doc:"The file's name within dir; a / that is written out makes folders, one that comes from a record is refused."`
	Format        string            `yaml:"format" default:"value" enum:"value,record,raw" doc:"What is appended: the record's value as one line, the whole record as one line of JSON, or the value's bytes as they are with nothing between them."`
	Fsync         string            `yaml:"fsync" default:"batch" enum:"batch,interval,none" doc:"What an acknowledgement is worth: batch: on the disk; interval: with the operating system, and on the disk after fsync_interval at most; none: with the operating system."`
	FsyncInterval time.Duration     `yaml:"fsync_interval" default:"1s" min:"10ms" max:"1h" doc:"For fsync: interval, how much a crash of the machine may lose."`
	Batch         BatchConfig       `yaml:"batch" doc:"How long an fsync waits for more records to go with it; what comes while one runs shares the next in any case."`
	Rotate        RotateConfig      `yaml:"rotate" doc:"When a file is set aside under a name with its time, and a new one begun."`
	MaxNewFiles   int               `yaml:"max_new_files" default:"10000" min:"1" doc:"How many files a process makes in an hour; past it the pipeline pauses, so that a record's field with endless values does not fill the folder."`
	OpenFiles     int               `yaml:"open_files" default:"512" min:"8" max:"100000" doc:"How many files are kept open; the one not used for longest is closed."`
}

// BatchConfig is how long an fsync waits for more.
type BatchConfig struct {
	Count int           `yaml:"count" default:"10000" min:"1" doc:"So many records end the wait."`
	Bytes handlers.Size `yaml:"bytes" default:"8MiB" min:"1B" doc:"So many bytes end the wait."`
	Wait  time.Duration `yaml:"wait" default:"0s" max:"1m" doc:"How long to wait at most; 0 does not wait."`
}

// RotateConfig is when a file is set aside.
type RotateConfig struct {
	Size  handlers.Size `yaml:"size" min:"1kB" doc:"Before it grows larger than this; a batch is not split, so a first one may be larger. Not written: never."`
	Every time.Duration `yaml:"every" min:"1s" doc:"At the first write of a new period, such as 1h or 1d; periods begin at midnight UTC. Not written: never."`
}

// rotates tells whether files are ever set aside.
func (r RotateConfig) rotates() bool { return r.Size > 0 || r.Every > 0 }

const doc = "Appends records to files in a folder, one line each; nothing is ever overwritten. " +
	"`path` may depend on the record, and stays within `dir` whatever the record says, also where links lie in it.\n\n" +
	"With `fsync: batch` a record counts as written once it is on the disk. Records that are written at the same time, also by other lanes, share one fsync. " +
	"With `interval` and `none` it counts as written once the operating system has it: a crash of Millrace loses nothing, a crash of the machine loses what was not on the disk yet.\n\n" +
	"A line that a crash left without its end is cut off before the next one is written, unless it is a whole JSON object or list. It was not acknowledged, and its record comes again. " +
	"With `format: raw` there is nothing to tell a cut record by. " +
	"A full disk, or one that fails, pauses the pipeline; after a failed fsync the lines that it was for are written again, and may stand there twice. " +
	"A file that was moved away by another program, such as logrotate, is begun anew; several processes may write to one file."

// Spec describes the sink.
func Spec() handlers.Spec {
	return handlers.Define("file", doc,
		"file:\n  dir: clicks\n  path: ${payload.region}.jsonl\n  rotate: {size: 100MB, every: 1d}\n",
		func(config Config, env handlers.Env) (handlers.Sink, error) {
			return open(config, env.Logger, realDisk())
		})
}

// Check finds what the types alone do not tell.
func (c *Config) Check() []handlers.Issue {
	var issues []handlers.Issue
	if c.Path.Constant {
		if err := checkName(c.Path.Prefix, c.longest()); err != nil {
			issues = append(issues, handlers.Issue{Field: "path", Message: "path " + err.Error()})
		}
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
	// turns bound how many writes are under way, and so how many files are in
	// use at once.
	turns chan struct{}
	work  sync.WaitGroup
	ended chan struct{} // closed by Close

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
	return &sink{
		config: config, log: log, disk: d, files: map[string]*file{}, ended: make(chan struct{}),
		turns: make(chan struct{}, max(1, config.OpenFiles/filesAtOnce)),
	}, nil
}
