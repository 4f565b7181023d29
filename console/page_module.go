// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// modulesPage answers GET /console/sites/{site}/modules.
func (c *Console) modulesPage(q *call) error {
	uploads, err := q.desk().Uploads(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	status, err := q.desk().Status(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	type row struct {
		*publishing.Upload
		State string // how it is at work, "" if it is not
	}
	var rows []row
	for _, u := range uploads {
		rows = append(rows, row{u, stateOf(status, u.Hash)})
	}
	return q.render("modules", q.newPage(q.say("modules.title"), rows))
}

// stateOf says how a module is at work at a site: live somewhere, else to a
// share, else in comparison.
func stateOf(status *publishing.Status, hash string) string {
	found := map[string]bool{}
	for _, s := range status.Slots {
		for _, rung := range s.Rungs {
			for _, rule := range rung.Rules {
				if rule.Hash == hash {
					found[ruleView{RuleStatus: rule}.State()] = true
				}
			}
		}
	}
	for _, state := range []string{"live", "rollout", "shadow"} {
		if found[state] {
			return state
		}
	}
	return ""
}

// A refusedModule is a file that may not be uploaded.
type refusedModule struct {
	File  string
	Words string // text key
	// Message is for the module's author.
	Code, Message string
}

// uploadPage answers POST /console/sites/{site}/modules: a module is checked, and
// brought to the site if it may be. Nobody sees anything of it yet.
func (c *Console) uploadPage(q *call) error {
	file, wasm, signature, err := q.readUpload()
	if err != nil {
		return err
	}
	upload, err := q.desk().Upload(q.ctx(), q.actor, q.site, wasm, signature)
	refused, ok := errors.AsType[*publishing.Error](err)
	switch {
	case err == nil:
		return q.seeOther(siteLink(q.site, "modules", upload.Name, upload.Version), "upload")
	case !ok || refused.Code == publishing.CodeForbidden || refused.Code == publishing.CodeNotFound:
		return err
	}
	p := q.newPage(q.say("refused.title"), refusedModule{file, refusedWords(refused.Code), refused.Code, refused.Message})
	p.Status = refusalOf(err).status
	return q.render("refused", p)
}

// readUpload reads the form that a module comes in. Its parts are kept in memory:
// they are small, and files would have to be cleared away.
func (q *call) readUpload() (file string, wasm []byte, signature string, err error) {
	form, err := q.r.MultipartReader()
	if err != nil {
		return "", nil, "", badRequest("module", "the form is not one that holds files")
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, "", unread(err)
		}
		switch part.FormName() {
		case "module":
			file = part.FileName()
			wasm, err = readPart(part, edge.MaxModuleBytes)
		case "signature":
			var text []byte
			text, err = readPart(part, edge.MaxSignatureBytes)
			signature = string(text)
		}
		if err != nil {
			return "", nil, "", unread(err)
		}
	}
	q.arrived()
	if len(wasm) == 0 {
		return "", nil, "", badRequest("module", "no file was chosen")
	}
	return file, wasm, signature, nil
}

func readPart(part *multipart.Part, most int64) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(nil, part, most))
}

// A moduleView is a module with what may be done with it.
type moduleView struct {
	Upload   *publishing.Upload
	Report   *edge.ModuleReport
	Readings []reading
	Near     []edge.LimitUse // the limits that it comes nearest to

	Form placeForm
	// Preview is a link that was asked for.
	Preview *publishing.Preview
	live    *edge.ReleaseDocument // must not be changed
	// AtWork are the rules that run a version of the module.
	AtWork []ruleView
}

// modulePage answers GET /console/sites/{site}/modules/{name}/{version}.
func (c *Console) modulePage(q *call) error {
	view, err := q.module()
	if err != nil {
		return err
	}
	return q.render("module", q.newPage(view.title(), view))
}

func (v *moduleView) title() string { return v.Upload.Name + " " + v.Upload.Version }

// module returns what the path names.
func (q *call) module() (*moduleView, error) {
	u, err := q.desk().Describe(q.ctx(), q.actor, q.site, q.r.PathValue("name"), q.r.PathValue("version"))
	if err != nil {
		return nil, err
	}
	return q.viewModule(u)
}

func (q *call) viewModule(u *publishing.Upload) (*moduleView, error) {
	status, err := q.desk().Status(q.ctx(), q.actor, q.site)
	if err != nil {
		return nil, err
	}
	live, doc, err := q.document(0)
	if err != nil {
		return nil, err
	}
	v := &moduleView{Upload: u, Report: u.Report, live: doc}
	for _, s := range status.Slots {
		for _, rung := range slotOf(status, s).Rungs {
			for _, rule := range rung.Rules {
				if rule.Module == u.Name {
					v.AtWork = append(v.AtWork, rule)
				}
			}
		}
	}
	v.Form.Follows = live.Number
	if v.Report.Manifest == nil { // what comes with a node might not pass its check
		return nil, &refusal{http.StatusUnprocessableEntity, v.Report.Code, "module", v.Report.Message}
	}
	v.Readings = readings(v.Report.Manifest, doc)
	v.Near = headroom(v.Report.Limits, 5)
	v.Form.offer(v.Report.Manifest, doc)
	return v, nil
}

// A placeForm asks where a module goes and to whom.
type placeForm struct {
	Follows uint64 // the release that the form was made from
	Places  []place
	Rungs   []string
	// Place is "slot/role", Rung a fallback level, Share how many of 100 visitors.
	Place, Rung, Share string
	First              bool // before the others of its level
	// Page is where a preview begins, Start where it does when nobody says.
	Page, Start string
	Settings    settingsForm
}

// offer fills the form with where a module may go, and with where it is already.
func (f *placeForm) offer(m *edge.Manifest, doc *edge.ReleaseDocument) {
	f.Places, f.Rungs, f.Share, f.Rung = places(doc, m), edge.Rungs[:], "100", suitableRung(m)
	f.First, f.Start = true, doc.Settings.Origins[0]+"/"
	if len(f.Places) > 0 {
		f.Place = f.Places[0].Slot + "/" + f.Places[0].Role
	}
	var current json.RawMessage
	for _, slot := range doc.Slots {
		for _, rung := range slot.Ladder {
			for i := range rung.Rules {
				if rule := &rung.Rules[i]; moduleName(rule.Module) == m.Name {
					f.Place, f.Rung, current = slot.Name+"/"+rule.Role, rung.Rung, rule.Settings
				}
			}
		}
	}
	f.Settings = newSettingsForm(m.Settings, current)
}
