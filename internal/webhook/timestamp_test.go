package webhook_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// at returns a request signed with that timestamp.
func at(text string) webhook.Request {
	r := signed(key, []byte("b"))
	r.Header.Set("X-Demo-Timestamp", text)
	r.Header.Set("X-Demo-Signature", "sha256="+hmacHex(key, text+".b"))
	return r
}

func TestTheEdgesOfTheTimeWindowBelongToIt(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	for _, tc := range []struct {
		age  int64 // seconds
		want webhook.Reason
	}{
		{0, ""}, {299, ""}, {300, ""}, {301, webhook.ReasonStale}, {1 << 30, webhook.ReasonStale},
		{-59, ""}, {-60, ""}, {-61, webhook.ReasonFuture}, {-300, webhook.ReasonFuture},
	} {
		assertReason(t, fmt.Sprintf("age %d s", tc.age), reason(t, e, at(strconv.FormatInt(now.Unix()-tc.age, 10)), key), tc.want)
	}
	r := at(strconv.FormatInt(now.Unix()-300, 10))
	r.Now = now.Add(time.Millisecond)
	assertReason(t, "age 300.001 s", reason(t, e, r, key), webhook.ReasonStale)
}

func TestMalformedTimestampsAreRefusedEvenIfSigned(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	for _, text := range []string{
		"-1614265330", "+1614265330", "1614265330.0", "1614265330000", "1e9", "0x60", "01614265330", " 1614265330",
		"1614265330 ", "1614265330\n", "9223372036854775808", "99999999999999999999", "now", "NaN", "1_614_265_330", "٣", "0",
	} {
		assertReason(t, fmt.Sprintf("timestamp %q", text), reason(t, e, at(text), key), webhook.ReasonMalformedTimestamp)
	}
	r := at("1614265330")
	r.Header.Del("X-Demo-Timestamp")
	assertReason(t, "no timestamp", reason(t, e, r, key), webhook.ReasonMissingTimestamp)
	r.Header["X-Demo-Timestamp"] = []string{"1614265330", "1614265330"}
	assertReason(t, "two timestamps", reason(t, e, r, key), webhook.ReasonMalformedTimestamp)
}

func TestATimestampThatWasNotSignedIsABadSignature(t *testing.T) {
	t.Parallel()
	r := at(strconv.FormatInt(now.Unix()-3600, 10))
	r.Header.Set("X-Demo-Timestamp", strconv.FormatInt(now.Unix(), 10))
	assertReason(t, "another timestamp", reason(t, mustCompile(t, timestamped()), r, key), webhook.ReasonBadSignature)
}

func TestFormatsOfTimestamps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		format webhooks.TimeFormat
		text   string
		want   webhook.Reason
	}{
		{webhooks.UnixSeconds, "1614265330", ""},
		{webhooks.UnixMillis, "1614265330000", ""},
		{webhooks.UnixMillis, "1614265330", webhook.ReasonStale},
		{webhooks.UnixMillis, "1614265330000000", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "2021-02-25T15:02:10Z", ""},
		{webhooks.RFC3339, "2021-02-25T15:02:10.250Z", ""},
		{webhooks.RFC3339, "2021-02-25T08:02:10-07:00", ""},
		{webhooks.RFC3339, "2021-02-25T15:02:10,250Z", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "2021-02-25 15:02:10Z", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "2021-02-25T15:02:10", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "1614265330", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "2021-13-25T15:02:10Z", webhook.ReasonMalformedTimestamp},
		{webhooks.RFC3339, "9999-12-31T23:59:59Z", webhook.ReasonFuture}, // beyond what a Duration can hold
		{webhooks.RFC3339, "0001-01-01T00:00:00Z", webhook.ReasonStale},
	} {
		w := timestamped()
		w.Verify[0].Timestamp.Format = tc.format
		assertReason(t, fmt.Sprintf("%s %q", tc.format, tc.text), reason(t, mustCompile(t, w), at(tc.text), key), tc.want)
	}
}

func TestTimestampInSignatureFieldAndInBody(t *testing.T) {
	t.Parallel()
	w := timestamped()
	w.Verify[0].Signature = webhooks.Source{From: "header.X-Sig", Separator: ",", Prefix: "v1="}
	w.Verify[0].Timestamp.Source = webhooks.Source{From: "header.X-Sig", Separator: ",", Prefix: "t="}
	e := mustCompile(t, w)
	digest := hmacHex(key, "1614265330.b")
	for value, want := range map[string]webhook.Reason{
		"t=1614265330,v1=" + digest:              "",
		"v1=" + digest + ",t=1614265330":         "",
		"v1=" + digest:                           webhook.ReasonMalformedTimestamp,
		"t=1614265330,t=1614265330,v1=" + digest: webhook.ReasonMalformedTimestamp,
		"t=,v1=" + digest:                        webhook.ReasonMalformedTimestamp,
	} {
		assertReason(t, value, reason(t, e, request("X-Sig", value, "b"), key), want)
	}
	inBody := plain()
	inBody.Verify[0].Timestamp = &webhooks.Timestamp{Source: webhooks.Source{From: "body.sent.at"}, Format: webhooks.UnixMillis}
	e = mustCompile(t, inBody)
	for body, want := range map[string]webhook.Reason{
		`{"sent":{"at":1614265330000}}`:    "",
		`{"sent":{"at":"1614265330000"}}`:  "",
		`{"sent":{"at":1614265330000.5}}`:  webhook.ReasonMalformedTimestamp,
		`{"sent":{"at":1.6142653300e12}}`:  webhook.ReasonMalformedTimestamp,
		`{"sent":{"at":null}}`:             webhook.ReasonMissingTimestamp,
		`{"sent":{"at":[1614265330000]}}`:  webhook.ReasonMissingTimestamp,
		`{"sent":{"at":1614260000000}}`:    webhook.ReasonStale,
		`{"sent":{"at":1614265330000}`:     webhook.ReasonMissingTimestamp, // not JSON
		`{"sent":{"at":16142653300000000}`: webhook.ReasonMissingTimestamp,
	} {
		assertReason(t, body, reason(t, e, request("X-Signature", hmacHex(key, body), body), key), want)
	}
}

func TestStaleRejectionsReportTheSkew(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	for age, want := range map[int64]time.Duration{3600: time.Hour, -600: -10 * time.Minute} {
		_, err := e.Verify(t.Context(), at(strconv.FormatInt(now.Unix()-age, 10)), texts(key))
		if got := err.(*webhook.Rejection); got.Skew != want {
			t.Errorf("age %d s: skew = %v, want %v", age, got.Skew, want)
		}
	}
}

func TestHeaderNamesAreMatchedInAnyCase(t *testing.T) {
	t.Parallel()
	w := timestamped()
	w.Verify[0].Signature.From = "header.x-demo-SIGNATURE"
	r := signed(key, []byte("b"))
	assertReason(t, "another case", reason(t, mustCompile(t, w), r, key), "")
}
