// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// previewPage answers POST …/modules/{name}/{version}/preview.
func (c *Console) previewPage(q *call) error {
	return q.placeWith(func(v *moduleView, p edge.Placement) error {
		preview, err := q.desk().Preview(q.ctx(), q.actor, q.site, p, v.Form.Page, previewHours*time.Hour)
		if err != nil {
			return err
		}
		v.Preview = preview
		return q.render("module", q.newPage(v.title(), v))
	})
}

// shadowPage answers POST …/modules/{name}/{version}/shadow.
func (c *Console) shadowPage(q *call) error {
	return q.placeWith(func(v *moduleView, p edge.Placement) error {
		p.Rollout, p.Shadow = 0, true
		return q.changeThen(publishing.Change{Act: publishing.ActShadow, Placement: &p, Follows: v.Form.Follows}, siteLink(q.site, "slots", p.Slot))
	})
}

// A review is what a publication would change, before it does.
type review struct {
	Module    *moduleView
	Placement edge.Placement
	Fields    url.Values // the form again
	Slots     []slotDifference
	Second    bool // somebody else has to approve
}

// publishPage answers POST …/modules/{name}/{version}/publish. It shows what
// would change first, and does it when that has been confirmed.
func (c *Console) publishPage(q *call) error {
	return q.placeWith(func(v *moduleView, p edge.Placement) error {
		if q.r.PostForm.Get("confirmed") == "yes" {
			return q.changeThen(publishing.Change{Act: publishing.ActPublish, Placement: &p, Follows: v.Form.Follows}, siteLink(q.site, "slots", p.Slot))
		}
		_, then, err := q.document(0)
		if err != nil {
			return err
		}
		p.Module = v.Upload.Ref()
		if err := then.Place(p); err != nil {
			return &publishing.Error{Code: publishing.CodeInvalid, Message: err.Error(), Err: err}
		}
		r := review{Module: v, Placement: p, Fields: q.r.PostForm, Second: then.Settings.SecondPerson}
		r.Slots, _ = differences(v.live, then)
		return q.render("review", q.newPage(q.say("review.title"), r))
	})
}

// firstPriority is the priority with which a module wins over the others of its
// rung where scores are equal.
func firstPriority(doc *edge.ReleaseDocument, p edge.Placement) int {
	priority := 0
	for _, slot := range doc.Slots {
		for _, rung := range slot.Ladder {
			for i := range rung.Rules {
				rule := &rung.Rules[i]
				if slot.Name == p.Slot && rung.Rung == p.Rung && !rule.Shadow && moduleName(rule.Module) != p.Module.Name {
					priority = max(priority, rule.Priority+1)
				}
			}
		}
	}
	return priority
}

// placeWith reads the form of a module's page and does something with it. What
// goes wrong is said on that page, with what was filled in.
func (q *call) placeWith(do func(*moduleView, edge.Placement) error) error {
	if err := q.form(); err != nil {
		return err
	}
	v, err := q.module()
	if err != nil {
		return err
	}
	placement, wrong := v.Form.read(q.r.PostForm)
	if wrong == nil {
		placement.Module = edge.ModuleRef{Name: v.Upload.Name, Version: v.Upload.Version}
		if v.Form.First {
			placement.Priority = firstPriority(v.live, placement)
		}
		err = do(v, placement)
		if err == nil {
			return nil
		}
		if r := refusalOf(err); r.status >= 500 || r.status == http.StatusForbidden {
			return err
		}
	}
	p := q.newPage(v.title(), v)
	p.Status = http.StatusUnprocessableEntity
	if wrong != nil {
		p.Problem = &problem{Text: q.say(wrong.text), Field: wrong.field}
	} else {
		p.Status, p.Problem = refusalOf(err).status, q.problemOf(err)
	}
	return q.render("module", p)
}

// A wrongField is a form field that cannot be read, and the key of the text that
// says so.
type wrongField struct{ field, text string }

// read takes a placement from a posted form.
func (f *placeForm) read(form url.Values) (edge.Placement, *wrongField) {
	f.Place, f.Rung, f.Share, f.First = form.Get("slot"), form.Get("rung"), form.Get("share"), form.Get("first") == "yes"
	f.Page = strings.TrimSpace(form.Get("page"))
	follows, err := strconv.ParseUint(form.Get("follows"), 10, 64)
	if err == nil {
		f.Follows = follows
	}
	var p edge.Placement
	var slot, role string
	if i := slices.IndexFunc(f.Places, func(p place) bool { return p.Slot+"/"+p.Role == f.Place }); i >= 0 {
		slot, role = f.Places[i].Slot, f.Places[i].Role
	} else {
		return p, &wrongField{"slot", "place.slot.missing"}
	}
	share, err := readShare(f.Share)
	if err != nil || share == 0 {
		return p, &wrongField{"share", "place.share.wrong"}
	}
	settings, wrong := f.Settings.read(form)
	if wrong != "" {
		return p, &wrongField{wrong, "settings.unreadable"}
	}
	p = edge.Placement{Slot: slot, Rung: f.Rung, Role: role, Settings: settings}
	if share < edge.Buckets {
		p.Rollout = share
	}
	return p, nil
}

var errShare = errors.New("not 0 to 100")

// readShare turns how many of 100 visitors into how many of edge.Buckets.
func readShare(text string) (int, error) {
	percent, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return 0, errShare
	}
	return int(math.Round(percent * edge.Buckets / 100)), nil
}

// changeThen makes a change and goes to a page that says so.
func (q *call) changeThen(change publishing.Change, link string) error {
	out, err := q.desk().Do(q.ctx(), q.actor, q.site, change)
	switch {
	case err != nil:
		return err
	case out.Proposal != nil:
		return q.seeOther(siteLink(q.site, "proposals"), "propose")
	case out.Was == out.Release:
		return q.seeOther(link, "same")
	}
	return q.seeOther(link, change.Act)
}

// rolloutPage answers POST /console/sites/{site}/slots/{slot}/rollout.
func (c *Console) rolloutPage(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	slot := q.r.PathValue("slot")
	share, err := readShare(q.r.PostForm.Get("share"))
	if err != nil {
		return q.showSlot(badRequest("share", "the share is not 0 to 100"))
	}
	change := publishing.Change{Act: publishing.ActRollout, Slot: slot, Module: q.r.PostForm.Get("module"), Share: share}
	if err := q.changeThen(change, siteLink(q.site, "slots", slot)); err != nil {
		return q.showSlot(err)
	}
	return nil
}

// A removal is a module that is about to leave a slot.
type removal struct{ Slot, Module string }

// removePage answers POST /console/sites/{site}/slots/{slot}/remove, first with a
// question.
func (c *Console) removePage(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	r := removal{q.r.PathValue("slot"), q.r.PostForm.Get("module")}
	if q.r.PostForm.Get("confirmed") != "yes" {
		return q.render("remove", q.newPage(q.say("remove.title"), r))
	}
	if err := q.changeThen(publishing.Change{Act: publishing.ActRemove, Slot: r.Slot, Module: r.Module}, siteLink(q.site, "slots", r.Slot)); err != nil {
		return q.showSlot(err)
	}
	return nil
}

// moduleName is the name of "name@version" or of a name alone.
func moduleName(id string) string {
	name, _, _ := strings.Cut(id, "@")
	return name
}
