package survey

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// kafka looks at the cluster: brokers, then topics, then groups.
func (c *connector) kafka(ctx context.Context) {
	topicsLeft := sync.OnceFunc(func() { close(c.looked) })
	defer topicsLeft()
	if c.plan.Embedded != "" && !c.embedded(ctx) {
		return
	}
	brokers := c.brokers(ctx)
	if brokers == nil {
		return
	}
	admin, err := kafka.NewAdmin(c.settings, kafka.Deps{Logger: c.options.Logger})
	if err != nil {
		c.atBrokers(diag.CodeBroker, diag.Error, err.Error(), "")
		return
	}
	defer admin.Close()
	reachable := c.advertised(ctx, admin, brokers)
	names, patterns, err := c.names(ctx, admin)
	if err == nil {
		c.topics, err = admin.InspectTopics(ctx, names...)
	}
	if err != nil {
		// Where a broker can't be reached, what it was to be asked follows from
		// that.
		if reachable {
			c.atBrokers(diag.CodeBroker, diag.Error,
				"the brokers answer, but not what is asked of them: "+c.reason(err), "")
		}
		return
	}
	topicsLeft()
	c.checkTopics(len(brokers))
	c.checkPatterns(patterns)
	c.checkReplicas(patterns)
	c.checkGroups(ctx, admin, reachable)
	what := diag.Count(len(brokers), "broker")
	if c.plan.Embedded != "" {
		c.mu.Lock()
		what = c.seen["kafka"]
		c.mu.Unlock()
	}
	c.note("kafka", fmt.Sprintf("%s, %s, %s looked at", what, diag.Count(len(names), "topic"),
		diag.Count(len(c.result.Definitions), "group")))
}

// atBrokers reports something about all brokers together.
func (c *connector) atBrokers(code diag.Code, severity diag.Severity, message, hint string) {
	path := diag.Path("kafka.brokers")
	c.report(c.with(path), diag.Problem{Path: path, Code: code, Severity: severity, Message: message, Hint: hint})
}

// bootstrap is one address of kafka.brokers, and what it answered.
type bootstrap struct {
	address string
	path    diag.Path
	brokers []kafka.BrokerInfo
	err     error
}

// bootstraps are the addresses of the file with their places: one item may hold
// several.
func (c *connector) bootstraps() (all []bootstrap) {
	f := c.with("kafka.brokers")
	if f == nil {
		return []bootstrap{{address: c.settings.Brokers[0], path: "kafka"}}
	}
	for i, item := range f.Blocks.Kafka.Brokers {
		for address := range strings.SplitSeq(item, ",") {
			if strings.TrimSpace(address) == "" || len(all) == len(c.settings.Brokers) {
				continue
			}
			all = append(all, bootstrap{address: c.settings.Brokers[len(all)],
				path: diag.Path("kafka.brokers").Item(i)})
		}
	}
	return all
}

// brokers asks every address, and returns the brokers of the cluster, nil where
// none answered. From then on only the addresses that answer are used.
func (c *connector) brokers(ctx context.Context) []kafka.BrokerInfo {
	all := c.bootstraps()
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() { all[i].brokers, all[i].err = c.reach(ctx, all[i].address) })
	}
	asked.Wait()
	var answering []string
	var brokers []kafka.BrokerInfo
	for _, b := range all {
		if b.err == nil {
			answering, brokers = append(answering, b.address), b.brokers
		}
	}
	c.refusals(all, len(answering) > 0)
	if brokers != nil {
		c.settings.Brokers = answering
	}
	return brokers
}

// reach asks one address once.
func (c *connector) reach(ctx context.Context, address string) ([]kafka.BrokerInfo, error) {
	settings := c.settings
	settings.Brokers = []string{address}
	admin, err := kafka.NewAdmin(settings, kafka.Deps{Logger: c.options.Logger})
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return admin.Reach(ctx)
}

// refusals reports the addresses that did not answer; those that said the same
// are one problem. Where another one answers a run can start, and it is a
// warning.
func (c *connector) refusals(all []bootstrap, answered bool) {
	f := c.with("kafka.brokers")
	said := map[string]int{}
	for _, b := range all {
		if b.err != nil {
			said[c.reason(b.err)]++
		}
	}
	for _, b := range all {
		if b.err == nil {
			continue
		}
		text := c.reason(b.err)
		n, first := said[text]
		if !first {
			continue
		}
		delete(said, text)
		p := diag.Problem{Path: b.path, Code: diag.CodeBroker,
			Message: fmt.Sprintf("the broker %s can't be used: %s", b.address, text)}
		if n > 1 {
			p.Message = fmt.Sprintf("the broker %s and %d more of kafka.brokers can't be used: %s", b.address, n-1,
				text)
		}
		if answered {
			p.Severity, p.Hint = diag.Warning, "others answer, so a run can start: take it out if the cluster no "+
				"longer has it"
		}
		c.report(f, p)
	}
}

// advertised asks every broker at the address that the cluster tells clients to
// use: that is where records are read and written, whatever kafka.brokers says.
// It tells whether all answer.
func (c *connector) advertised(ctx context.Context, admin *kafka.Admin, brokers []kafka.BrokerInfo) bool {
	errs := make([]error, len(brokers))
	var asked sync.WaitGroup
	for i, b := range brokers {
		if !slices.Contains(c.settings.Brokers, b.Address) {
			asked.Go(func() { errs[i] = admin.ReachBroker(ctx, b.ID) })
		}
	}
	asked.Wait()
	all := true
	for i, b := range brokers {
		if errs[i] == nil {
			continue
		}
		all = false
		c.atBrokers(diag.CodeBroker, diag.Error,
			fmt.Sprintf("the cluster tells clients to reach broker %d at %s, which can't be used from here: %s", b.ID,
				b.Address, c.reason(errs[i])),
			"set advertised.listeners of that broker to an address that this machine reaches, "+
				"or let this machine find "+hostOf(b.Address))
	}
	return all
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// names are the topics to look at: those that the file names, and for each
// pattern those of the cluster that match it, by pipeline.
func (c *connector) names(ctx context.Context, admin *kafka.Admin) (names []string, patterns map[string][]string,
	err error) {
	for _, u := range c.uses {
		names = append(names, u.Topic)
	}
	for _, t := range c.plan.Topics {
		names = append(names, t.Name)
	}
	patterns = map[string][]string{}
	if slices.ContainsFunc(c.plan.Pipelines, func(p *plan.Pipeline) bool { return p.Source.Pattern != nil }) {
		there, err := admin.Topics(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range c.plan.Pipelines {
			for _, t := range there {
				if p.Source.Pattern != nil && p.Source.Pattern.MatchString(t.Name) {
					patterns[p.Name] = append(patterns[p.Name], t.Name)
					names = append(names, t.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), patterns, nil
}
