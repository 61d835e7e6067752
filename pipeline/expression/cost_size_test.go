package expression

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// saneRecord is a record of some MiB of many alike items.
func saneRecord(item string, mib int) []byte {
	return []byte(`{"order_id":"o-1","status":"paid","items":[` + strings.Repeat(item+",", mib*ordinary/(len(item)+1)-1) + item + `]}`)
}

// TestLargeRecordsAreNotTooCostly has what uses a large record whole, beside a copy
// of it, under the default limits: all of it is linear in its size.
func TestLargeRecordsAreNotTooCostly(t *testing.T) {
	items := map[string]string{
		"dense": `{"sku":"sku-000123","quantity":3,"price":12.95,"gift":false}`,
		"events": `{"id":"0195f2c1-7a7b-7c11-9c1e-5b0a3f5a1d2e","at":"2026-11-28T07:02:19.123Z","type":"page.view",` +
			`"user":{"id":123456,"country":"DE","tags":["a","b"]},"url":"https://shop.example/products/1234","duration_ms":1234,"ok":true}`,
		"texts": `{"id":"doc-1","title":"A title of some words","body":"` + strings.Repeat(`Lorem ipsum dolor sit amet, consectetur adipiscing elit.\n`, 40) + `"}`,
	}
	sources := map[string]string{
		"filter": `payload.status == "paid"`, "digest": "", "map": `map(payload.items, .id ?? .sku)`, "toJSON": `toJSON(payload)`, "object": `{"all": payload.items}`,
	}
	for _, c := range []struct {
		kind  string
		mib   int
		names string
	}{{"dense", 3, "filter digest map toJSON object"}, {"dense", 16, "digest toJSON"}, {"events", 8, "map object"}, {"texts", 16, "digest toJSON"}} {
		value := saneRecord(items[c.kind], c.mib)
		for name := range strings.FieldsSeq(c.names) {
			source := sources[name]
			t.Run(fmt.Sprintf("%s %d MiB %s", c.kind, c.mib, name), func(t *testing.T) {
				s := NewScope(Options{})
				e, found := s.Expression(cmp.Or(source, "payload"))
				whole, foundWhole := s.Expression(`payload`)
				text, foundText := s.Template("all: ${payload}", PlaceText)
				if found != nil || foundWhole != nil || foundText != nil {
					t.Fatal(found, foundWhole, foundText)
				}
				in, rec := s.NewInput(), orderRecord("")
				rec.Value = value
				if err := in.Load(rec); err != nil {
					t.Fatal(err)
				}
				var err error
				if source == "" {
					_, err = e.AppendCanonical(nil, in)
				} else {
					_, err = e.Value(in)
				}
				_, copied := whole.AppendJSON(nil, in)
				_, rendered := text.Text(in)
				if err := errors.Join(err, copied, rendered); err != nil {
					t.Errorf("%v, after %d steps and %d bytes", err, in.steps, in.bytes)
				}
			})
		}
	}
}

// TestLimitsGrowWithTheRecord: a byte of a large record may cost what one of 1 MiB
// may, and the next record has its own limits again.
func TestLimitsGrowWithTheRecord(t *testing.T) {
	of := Limits{Steps: 1000, Bytes: 4000}
	for size, want := range map[int]Limits{
		0: of, ordinary: of, 2 * ordinary: {2000, 5000}, 16 * ordinary: {16_000, 19_000}, 3 * ordinary / 2: {1500, 4500},
	} {
		if got := of.For(size); got != want {
			t.Errorf("%d bytes: %+v, want %+v", size, got, want)
		}
	}
	s := NewScope(Options{Limits: Limits{Steps: 100_000, Bytes: 8 << 20}})
	e, _ := s.Expression(`any(payload.items, payload.text contains "b")`)
	in, rec := s.NewInput(), orderRecord("")
	for _, c := range []struct {
		mib  int
		want string
	}{
		{1, "the expressions take more than 100000 steps, which limits.steps allows one record"},
		{3, "the expressions take more than 300000 steps, which limits.steps allows a record of its size"},
		{1, "the expressions take more than 100000 steps, which limits.steps allows one record"},
	} {
		fields := `{"items":[1,2,3,4,5,6,7,8,9],"text":""}`
		rec.Value = []byte(strings.Replace(fields, `""`, `"`+strings.Repeat("a", c.mib*ordinary-len(fields))+`"`, 1))
		if err := in.Load(rec); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Bool(in); !errors.Is(err, ErrTooCostly) || err.Error() != c.want {
			t.Errorf("%d MiB: %v", c.mib, err)
		}
	}
}
