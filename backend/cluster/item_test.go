package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

const inOpened = 100000 // is added to fill's count there

// fill sets everything in a value that can be set to something that is not zero, so that a
// field that the format has forgotten shows.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1700000000, int64(*n))))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type().Field(i).Name != "Suspect" { // which is not sent
				fill(v.Field(i), n)
			}
		}
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*host.OpenedInfo]() {
			if *n > inOpened {
				return // an opened is not in the outputs of another
			}
			*n += inOpened
			defer func() { *n -= inOpened }()
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes(fmt.Appendf(nil, `{"n":%d}`, *n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n%5) + 1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n) * 1000)
	}
}

// items are items of all kinds, with what each has.
func items() map[string]*item {
	filled := &item{}
	n := 0
	fill(reflect.ValueOf(filled).Elem(), &n)
	f := filled
	for _, o := range f.Outputs {
		o.Done = nil
	}
	f.Wait = 1500 * time.Millisecond
	return map[string]*item{
		"follow":     {Kind: itemFollow, Number: 1, Ref: f.Ref},
		"unfollow":   {Kind: itemUnfollow, Number: 2},
		"open":       {Kind: itemOpen, Number: 3, Ref: f.Ref, Open: f.Open},
		"refresh":    {Kind: itemRefresh, Ref: f.Ref, Refresh: f.Refresh},
		"subscribe":  {Kind: itemSubscribe, Ref: f.Ref, Subscribe: f.Subscribe},
		"call":       {Kind: itemCall, Ref: host.Ref{ID: "id"}, Call: f.Call},
		"ack":        {Kind: itemAck, Ref: f.Ref, Attachment: f.Attachment, Seq: 5},
		"detach":     {Kind: itemDetach, Ref: f.Ref, Attachment: f.Attachment},
		"close":      {Kind: itemClose, Ref: host.Ref{Name: "lobby", Key: host.Key{}}, Attachment: f.Attachment},
		"callonce":   {Kind: itemCallOnce, Number: 9, Ref: f.Ref, Direct: f.Direct, Wait: f.Wait},
		"create":     {Kind: itemCreate, Ref: f.Ref, Data: f.Data, Identity: f.Identity, Wait: f.Wait},
		"find":       {Kind: itemFind, Ref: f.Ref, Identity: f.Identity},
		"resolve":    {Kind: itemResolve, Ref: f.Ref},
		"entries":    {Kind: itemEntries, Ref: f.Ref, Follow: 3, Seq: 7, Limit: 100, Max: 1 << 20, Wait: f.Wait},
		"replies":    {Kind: itemReplies, Ref: f.Ref, Producer: "p", Seq: 7, Limit: 100, Max: 1 << 20},
		"deliver":    {Kind: itemDeliver, Ref: f.Ref, Delivery: f.Delivery},
		"inquire":    {Kind: itemInquire, Ref: f.Ref, Inquiry: f.Inquiry},
		"socket":     {Kind: itemSocket, Number: 18, Socket: &host.SocketRequest{Socket: "3.secret", N: 4, Frame: json.RawMessage(`[]`), Poll: true, Wait: f.Wait}},
		"inspect":    {Kind: itemInspect, Number: 20, Inspect: &host.InspectRequest{Method: "POST", Target: "/actors/a/reset", From: "::1", Body: []byte(`{}`)}},
		"disconnect": {Kind: itemDisconnect, Number: 21, Subject: "hash", Reason: "signed out", Moments: f.Moments, Wait: f.Wait},
		"moment":     {Kind: itemMoment, Number: 22},
		"cancel":     {Kind: itemCancel, Number: 18},
		"part":       {Kind: itemPart, Number: 18, Data: json.RawMessage(`[{"t`)},
		"following":  {Kind: itemFollowing, Number: 3, Log: "log", Seq: 4},
		"outputs":    {Kind: itemOutputs, Number: 3, Log: "log", Outputs: f.Outputs},
		"skip":       {Kind: itemSkip, Number: 3, Log: "log", Seq: 4, Lost: true, Outputs: f.Outputs[:1]},
		"refused":    {Kind: itemRefused, Number: 3, Of: itemCall, Attachment: f.Attachment, Seq: 8, Err: f.Err},
		"done":       {Kind: itemDone, Number: 3, Ref: f.Ref, Data: json.RawMessage{}, Seq: 5, Entries: f.Entries, Answers: f.Answers, Moments: f.Moments, Err: f.Err},
	}
}

func TestItemsGolden(t *testing.T) {
	for name, item := range items() {
		golden(t, name+".item", item.encode())
		read, err := parseItem(item.encode())
		if err != nil || !reflect.DeepEqual(read, item) {
			t.Errorf("%s: got %+v, %v; want %+v", name, read, err, item)
		}
		encoded := item.encode()
		for n := range encoded {
			if _, err := parseItem(encoded[:n]); err == nil {
				t.Errorf("%s: its first %d of %d bytes were read", name, n, len(encoded))
			}
		}
	}
}

// TestItemsHaveEveryField checks that no field of what nodes send each other is forgotten.
func TestItemsHaveEveryField(t *testing.T) {
	for _, of := range []struct {
		value any
		code  func(*coder, any)
	}{
		{&host.OpenRequest{}, func(c *coder, v any) { c.open(v.(*host.OpenRequest)) }},
		{&host.RefreshRequest{}, func(c *coder, v any) { c.refresh(v.(*host.RefreshRequest)) }},
		{&host.SubscribeRequest{}, func(c *coder, v any) { c.subscribe(v.(*host.SubscribeRequest)) }},
		{&host.CallRequest{}, func(c *coder, v any) { c.call(v.(*host.CallRequest)) }},
		{&host.DirectCall{}, func(c *coder, v any) { c.direct(v.(*host.DirectCall)) }},
		{&host.Output{}, func(c *coder, v any) { c.output(v.(*host.Output)) }},
		{&host.Fault{}, func(c *coder, v any) { c.fault(v.(*host.Fault)) }},
		{&host.Delivery{}, func(c *coder, v any) { c.delivery(v.(*host.Delivery)) }},
		{&host.DeliveryAnswer{}, func(c *coder, v any) { c.answer(v.(*host.DeliveryAnswer)) }},
		{&host.Inquiry{}, func(c *coder, v any) { c.inquiry(v.(*host.Inquiry)) }},
		{&host.SocketRequest{}, func(c *coder, v any) { c.socket(v.(*host.SocketRequest)) }},
		{&host.InspectRequest{}, func(c *coder, v any) { c.inspect(v.(*host.InspectRequest)) }},
		{&store.Entry{}, func(c *coder, v any) { c.entry(v.(*store.Entry)) }},
	} {
		n := 0
		fill(reflect.ValueOf(of.value).Elem(), &n)
		writer := &coder{}
		of.code(writer, of.value)
		reader := &coder{b: writer.b, reading: true}
		read := reflect.New(reflect.TypeOf(of.value).Elem()).Interface()
		if of.code(reader, read); reader.err != nil || len(reader.b) > 0 || !reflect.DeepEqual(read, of.value) {
			t.Errorf("%T: got %+v, %v; want %+v", read, read, reader.err, of.value)
		}
	}
}

func FuzzParseItem(f *testing.F) {
	for name := range items() {
		b, err := os.ReadFile("testdata/" + name + ".item")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := parseItem(b)
		if err != nil {
			return
		}
		again, err := parseItem(read.encode())
		if err != nil || !reflect.DeepEqual(again, read) {
			t.Fatalf("%x: got %+v, %v; want %+v", b, again, err, read)
		}
	})
}
