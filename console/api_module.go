// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/nearside/nearside/edge"
)

// check answers POST /v1/modules/check. A module that may not be uploaded is a
// good answer: its report says so.
func (c *Console) check(q *call) error {
	wasm, err := q.body()
	if err != nil {
		return err
	}
	report, err := q.desk().Check(q.ctx(), q.actor, wasm)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, report)
}

// test answers POST /v1/modules/test.
func (c *Console) test(q *call) error {
	form, err := q.r.MultipartReader()
	if err != nil {
		return badRequest("Content-Type", "send a form (multipart/form-data) with the parts module and cases")
	}
	limits := map[string]int64{"module": edge.MaxModuleBytes, "cases": maxCasesBytes}
	parts := map[string][]byte{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unread(err)
		}
		name := part.FormName()
		if _, again := parts[name]; again || limits[name] == 0 {
			return badRequest("", "the form has one part module and one part cases")
		}
		parts[name], err = io.ReadAll(http.MaxBytesReader(nil, part, limits[name]))
		if err != nil {
			return unread(err)
		}
	}
	q.arrived()
	for name := range limits {
		if len(parts[name]) == 0 {
			return badRequest(name, "the part %s is missing", name)
		}
	}
	var cases []edge.ModuleCase
	if err := json.Unmarshal(parts["cases"], &cases); err != nil {
		return badRequest("cases", "cases: %v", err)
	}
	report, err := q.desk().Test(q.ctx(), q.actor, parts["module"], cases)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, report)
}

// modules answers GET /v1/sites/{site}/modules.
func (c *Console) modules(q *call) error {
	uploads, err := q.desk().Uploads(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, uploads)
}

// module answers GET /v1/sites/{site}/modules/{name}/{version}.
func (c *Console) module(q *call) error {
	upload, err := q.desk().Describe(q.ctx(), q.actor, q.site, q.r.PathValue("name"), q.r.PathValue("version"))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, upload)
}

// signatureHeader carries a module's signature.
const signatureHeader = "Near-Signature"

// upload answers PUT /v1/sites/{site}/modules.
func (c *Console) upload(q *call) error {
	signature, err := base64.StdEncoding.DecodeString(q.r.Header.Get(signatureHeader))
	if err != nil {
		return badRequest(signatureHeader, "%s is not base64", signatureHeader)
	}
	wasm, err := q.body()
	if err != nil {
		return err
	}
	upload, err := q.desk().Upload(q.ctx(), q.actor, q.site, wasm, string(signature))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, upload)
}

// replay answers POST /v1/replay.
func (c *Console) replay(q *call) error {
	var ask struct {
		Decision string `json:"decision"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	report, err := q.desk().Replay(q.ctx(), q.actor, ask.Decision)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, report)
}
