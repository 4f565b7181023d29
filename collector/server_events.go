// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// keptBatchBytes is how large a batch's buffer may be and still be kept for the
// next request of its connection.
const keptBatchBytes = 256 << 10

// A batchCall is the work space of one request to /v1/events.
type batchCall struct {
	headers headers
	decoder BatchDecoder
	batch   edge.Batch
	outcome edge.BatchOutcome
}

// free forgets the request: its strings are views of memory that the next one
// overwrites.
func (x *batchCall) free() {
	x.headers = headers{}
	x.batch.Reset()
	x.outcome.Reset()
	x.decoder.reset(nil)
}

// serverEvents answers POST /v1/events.
func (s *Server) serverEvents(ctx *fasthttp.RequestCtx) error {
	s.large.keep(&ctx.Request.Header)
	defer s.large.free(&ctx.Request.Header)
	x := s.batches.Get().(*batchCall)
	err := s.answerBatch(ctx, x)
	x.free()
	s.batches.Put(x)
	ctx.Request.ReleaseBody(keptBatchBytes)
	return err
}

// answerBatch tells a batch's story: see whose key it is, read it, say which
// events may be kept, keep them, and only then say so.
func (s *Server) answerBatch(ctx *fasthttp.RequestCtx, x *batchCall) error {
	access, err := s.hearServer(ctx, &x.headers)
	if err != nil {
		return err
	}
	malformed := x.decoder.DecodeBatch(ctx.PostBody(), &x.batch)
	if _, err := s.admitServer(&access, x.batch.Site, malformed); err != nil {
		return err
	}
	if !s.rationEvents(x.batch.Site, len(x.batch.Events)) {
		return errOverQuota
	}
	if err := s.engine.Accept(&x.batch, s.options.Now(), &x.outcome); err != nil {
		return err
	}
	if len(x.outcome.Events) > 0 {
		if err := s.store(x.outcome.Events, s.options.PublishPatience); err != nil {
			return err
		}
	}
	s.respondBatch(ctx, x)
	return nil
}

// store keeps events.
func (s *Server) store(events []edge.Event, wait time.Duration) error {
	err := s.publisher.Publish(events, wait)
	s.noteLog(err)
	if err != nil {
		return edge.ErrUnavailable
	}
	return nil
}

// noteLog notes a log that does not work for a reason of its own, once until it works
// again.
func (s *Server) noteLog(err error) {
	broken := err != nil && !errors.Is(err, edge.ErrUnavailable)
	if broken != s.logBroken.Load() && s.logBroken.CompareAndSwap(!broken, broken) && broken {
		s.options.Logger.Error("publish events", "error", err)
	}
}

// respondBatch writes what came of each event that was refused, by its place.
func (s *Server) respondBatch(ctx *fasthttp.RequestCtx, x *batchCall) {
	o := &x.outcome
	o.Rejected = append(o.Rejected, x.decoder.Refused()...)
	slices.SortFunc(o.Rejected, func(a, b edge.BatchRejection) int { return cmp.Compare(a.Index, b.Index) })
	s.metrics.accepted.Add(uint64(len(o.Events)))
	for i := range o.Rejected {
		s.metrics.rejected.add(o.Rejected[i].Code)
	}
	header := &ctx.Response.Header
	setHeader(header, "Cache-Control", "no-store")
	header.SetContentType(contentTypeJSON)
	b := append(ctx.Response.SwapBody(nil)[:0], `{"v":1,"accepted":`...)
	b = strconv.AppendInt(b, int64(len(o.Events)), 10)
	b = append(b, `,"rejected":[`...)
	for i := range o.Rejected {
		r := &o.Rejected[i]
		b = strconv.AppendInt(append(comma(b, i), `{"index":`...), int64(r.Index), 10)
		b = append(b, `,"id":`...)
		b = edge.AppendString(b, r.ID)
		b = edge.AppendMember(b, `,"code":`, r.Code)
		b = append(edge.AppendMember(b, `,"field":`, r.Field), '}')
	}
	ctx.Response.SwapBody(append(b, "]}"...))
}
