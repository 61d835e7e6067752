package compile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// The sizes from which on more is rarely meant. Each can run all the same.
const (
	lanesPlenty     = 128
	manyConcurrent  = 10_000
	manyPartitions  = 10_000
	manyReplication = 7
)

// scale warns of numbers that cost more than they bring, and of offsets that no
// partition has.
func (c *compiler) scale() {
	for _, f := range c.config.Files {
		for _, t := range f.Blocks.Topics {
			if n := t.Value.Partitions; n > manyPartitions && c.sound(f, t.Path.Field("partitions")) {
				c.warn(f, t.Path.Field("partitions"), diag.CodeCostly,
					fmt.Sprintf("%d partitions are more than a topic is likely to need", n),
					"each costs the brokers files and memory, and partitions can be added later")
			}
			if n := t.Value.Replication; n > manyReplication {
				c.warn(f, t.Path.Field("replication"), diag.CodeCostly,
					fmt.Sprintf("%d replicas are more than a topic is likely to need: "+
						"every write waits for those in sync", n),
					"3 survive the loss of two brokers")
			}
		}
	}
	for _, o := range c.definitions {
		c.lanes(o)
		c.offsets(o)
	}
}

// lanes warns of lanes that no machine has a use for: all lanes of all
// partitions may be one process's.
func (c *compiler) lanes(o Definition) {
	path := o.Path.Field("concurrency").Field("lanes")
	if !o.File.Source.Has(path) || !c.sound(o.File, path) {
		return
	}
	lanes, total := o.Plan.Source.Lanes, 0
	for _, t := range c.plan.Topics {
		if o.Plan.Reads(t.Name) {
			total += lanes * int(t.Partitions)
		}
	}
	switch {
	case total > manyConcurrent:
		c.warn(o.File, path, diag.CodeCostly,
			fmt.Sprintf("%d lanes of each partition are up to %d calls at once", lanes, total),
			"8 to 32 lanes keep most receivers busy")
	case lanes > lanesPlenty:
		c.warn(o.File, path, diag.CodeCostly,
			fmt.Sprintf("%d lanes of each partition are more than a receiver is likely to take", lanes),
			"8 to 32 lanes keep most receivers busy")
	}
}

// offsets reports a start at partitions that the topics do not have.
func (c *compiler) offsets(o Definition) {
	start := o.Plan.Source.Start
	path := o.Path.Field("source").Field("start").Field("offsets")
	if start.Kind != kafka.StartOffsets || !c.sound(o.File, path) {
		return
	}
	var most int32
	var at diag.Place
	for _, f := range c.config.Files {
		for _, t := range f.Blocks.Topics {
			if !o.Plan.Reads(t.Name) {
				continue
			}
			if t.Value.Partitions == 0 {
				return
			}
			if t.Value.Partitions > most {
				most, at = t.Value.Partitions, f.Source.Value(t.Path.Field("partitions"))
			}
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(start.Offsets)) {
		if most > 0 && partition >= most {
			item := path.Field(strconv.Itoa(int(partition)))
			c.add(diag.Problem{Path: item, Place: o.File.Source.Key(item), Code: diag.CodeRange,
				Message: fmt.Sprintf("there is no partition %d: the topic has %d, and they count from 0", partition,
					most),
				Related: &diag.Related{Place: at, Message: "the partitions are here"}})
		}
	}
}
