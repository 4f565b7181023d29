// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"

	"github.com/nearside/nearside/edge/consent"
)

// A ModuleReport is what a check of an uploaded module found. Members are only
// added.
type ModuleReport struct {
	// OK says that the module may be uploaded. If not, Code is a stable word for
	// what is wrong and Message a sentence for the module's author.
	OK      bool   `json:"ok"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`

	// Hash is the SHA-256 of the file, Rewritten that of what runs in its place.
	Hash      string `json:"hash,omitempty"`
	Rewritten string `json:"rewritten,omitempty"`
	// Bytes and RewrittenBytes are the sizes of both.
	Bytes          int `json:"bytes,omitempty"`
	RewrittenBytes int `json:"rewrittenBytes,omitempty"`
	// MemoryPages is the memory between calls, in pages of 64 KiB.
	MemoryPages int `json:"memoryPages,omitempty"`

	Manifest *Manifest `json:"manifest,omitempty"`
	// Limits say how much of each limit the module uses.
	Limits []LimitUse `json:"limits,omitempty"`
	// Canaries are the answers to the sample visits, one for each visit and slot
	// of the manifest.
	Canaries []Canary `json:"canaries,omitempty"`
	// Budget is the fuel a call may spend, MaxFuel the most that a canary spent.
	Budget  int64 `json:"budget,omitempty"`
	MaxFuel int64 `json:"maxFuel,omitempty"`
	// CompileMillis is how long compiling took on this machine.
	CompileMillis int64 `json:"compileMillis,omitempty"`
}

// A LimitUse is how much of one limit a module uses.
type LimitUse struct {
	Name  string `json:"name"`
	Used  uint64 `json:"used"`
	Limit uint64 `json:"limit"`
}

// A Canary is what a module answered to a sample visit.
type Canary struct {
	Visit   string `json:"visit"`
	Slot    string `json:"slot"`
	Variant string `json:"variant"` // "" for no answer
	Score   int64  `json:"score,omitempty"`
	Because string `json:"because,omitempty"`
	Fuel    int64  `json:"fuel"`
	// Fault says what went wrong; a module with one may not be uploaded.
	Fault string `json:"fault,omitempty"`
}

// A SampleVisit is a visit as people write one: which purposes were granted,
// and the fields' values by wire name.
type SampleVisit struct {
	Name    string                     `json:"name"`
	Granted consent.Set                `json:"granted"`
	Fields  map[string]json.RawMessage `json:"fields"`
}

// A ModuleCase is a visit and the answer that its author expects.
type ModuleCase struct {
	SampleVisit
	// Slot is the manifest's slot that is asked; the first when empty.
	Slot     string          `json:"slot,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Want     ModuleWant      `json:"want"`
}

// A ModuleWant is an expected answer. Members that are not given are not
// compared; Variant always is, "" being no answer.
type ModuleWant struct {
	Variant string       `json:"variant"`
	Score   *int64       `json:"score,omitempty"`
	Because *string      `json:"because,omitempty"`
	Items   []AnswerItem `json:"items,omitempty"`
}

// A ModuleTestReport is what came of a module's cases.
type ModuleTestReport struct {
	// OK says that the module could be loaded and every case passed.
	OK      bool               `json:"ok"`
	Code    string             `json:"code,omitempty"`
	Message string             `json:"message,omitempty"`
	Passed  int                `json:"passed"`
	Failed  int                `json:"failed"`
	Cases   []ModuleCaseResult `json:"cases"`
}

// A ModuleCaseResult is what came of one case.
type ModuleCaseResult struct {
	Name    string       `json:"name"`
	OK      bool         `json:"ok"`
	Message string       `json:"message,omitempty"` // what differs
	Variant string       `json:"variant"`
	Score   int64        `json:"score,omitempty"`
	Because string       `json:"because,omitempty"`
	Items   []AnswerItem `json:"items,omitempty"`
	Fuel    int64        `json:"fuel"`
}
