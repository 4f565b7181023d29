// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// filesEvery is how often the files that settings name are looked at. What has
// changed is taken in once it has been the same for two looks, so that a file
// that is being written, or a certificate without its key yet, is not.
const filesEvery = 2 * time.Second

// liveSettings can be changed while a node runs. The others need a restart.
var liveSettings = map[string]bool{
	"http.proxies": true, "http.drain": true, "log.level": true,
	"limit.address-rate": true, "limit.address-burst": true, "limit.network-rate": true, "limit.network-burst": true,
	"quota.decisions": true, "quota.events": true, "quota.sites": true,
	"rules.keys": true,
	"tls.cert":   true, "tls.key": true, "admin.tls-cert": true, "admin.tls-key": true,
}

// configFiles are what the files say that settings name.
type configFiles struct {
	public, admin []tls.Certificate
	keys          wasmrules.Keys
}

// readFiles reads the files that settings name.
func (c *Config) readFiles() (files configFiles, err error) {
	if files.public, err = loadKeyPairs(c.Door.TLSCerts, c.Door.TLSKeys); err != nil {
		return files, fmt.Errorf("--tls.cert: %w", err)
	}
	certs, keys := c.Door.admin()
	if files.admin, err = loadKeyPairs(certs, keys); err != nil {
		return files, fmt.Errorf("--admin.tls-cert: %w", err)
	}
	files.keys, err = readKeys(c.RulesKeys)
	return files, err
}

// names are the files whose change is looked for.
func (c *Config) fileNames() []string {
	d := &c.Door
	return slices.Concat([]string{c.File}, d.TLSCerts, d.TLSKeys, d.AdminCerts, d.AdminKeys, c.RulesKeys)
}

// A look is what a file looked like: not what is in it.
type look struct {
	size int64
	at   time.Time
	none bool
}

// lookAt looks at files; links are followed, so that replacing what one points
// at is a change.
func lookAt(names []string) []look {
	looks := make([]look, len(names))
	for i, name := range names {
		if at, err := os.Stat(name); err == nil {
			looks[i] = look{size: at.Size(), at: at.ModTime()}
		} else {
			looks[i].none = true
		}
	}
	return looks
}

// A settler holds what can be changed of a node's settings, and changes it.
type settler struct {
	node   *node
	now    Config // what is in force
	hup    <-chan os.Signal
	public keyPairs
	admin  keyPairs

	reloads, refused, pending atomic.Uint64 // pending: settings that need a restart
	drain                     atomic.Int64
}

// newSettler reads the files that settings name.
func newSettler(n *node) (*settler, error) {
	s := &settler{node: n, now: n.cfg, hup: n.hup}
	files, err := n.cfg.readFiles()
	if err != nil {
		return nil, err
	}
	s.take(files)
	s.drain.Store(int64(n.cfg.Door.Drain))
	return s, nil
}

func (s *settler) take(files configFiles) {
	s.public.store(files.public)
	s.admin.store(files.admin)
	s.node.rules.Trust(files.keys)
}

// watch reloads at each SIGHUP and each change of a file, until ctx ends.
func (s *settler) watch(ctx context.Context) error {
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	loaded := lookAt(s.now.fileNames())
	before := loaded
	initial := s.node.initial
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-initial:
			initial = nil
			s.warnOfQuotas()
		case <-s.hup:
			s.reload("signal")
			before = lookAt(s.now.fileNames())
			loaded = before
		case <-tick.C:
			names := s.now.fileNames()
			looks := lookAt(names)
			changed, settled := !slices.Equal(looks, loaded), slices.Equal(looks, before)
			before = looks
			if !changed || !settled {
				continue
			}
			s.reload("file")
			if after := s.now.fileNames(); !slices.Equal(names, after) {
				looks = lookAt(after)
				before = looks
			}
			loaded = looks // refused or taken: it is tried again when it changes
		}
	}
}

// reload takes in what the settings say now: all that can change of them, or,
// where anything is wrong, nothing.
func (s *settler) reload(why string) {
	log := s.node.log
	next, needRestart, err := s.prepare()
	if err != nil {
		s.refused.Add(1)
		log.Error("the settings are refused, and stay as they were", "by", why, "error", err)
		return
	}
	s.reloads.Add(1)
	s.pending.Store(uint64(len(needRestart)))
	log.Info("the settings have been read again", "by", why)
	if len(needRestart) > 0 {
		log.Warn("changed settings need a restart", "settings", needRestart)
	}
	s.now = next
	s.warnOfQuotas()
}

// warnOfQuotas tells which quotas are of sites that this node does not serve: a
// slip of the pen, or a site that is still to come. It waits until the stored
// releases have been tried.
func (s *settler) warnOfQuotas() {
	if s.node.ready() != nil {
		return
	}
	var none []string
	for _, site := range slices.Sorted(maps.Keys(s.now.Limits.Quotas)) {
		if _, ok := s.node.engine.Release(site); !ok {
			none = append(none, site)
		}
	}
	if len(none) > 0 {
		s.node.log.Warn("quota.sites names sites that this node has no release of", "sites", none)
	}
}

// prepare reads everything anew, and puts it in force if nothing is wrong.
func (s *settler) prepare() (next Config, needRestart []string, err error) {
	next = s.now
	if s.now.again != nil {
		if next, err = s.now.again(); err != nil {
			return next, nil, err
		}
		next.again = s.now.again
	}
	files, err := next.readFiles()
	if err != nil {
		return next, nil, err
	}
	if (len(files.public) > 0) != (len(*s.public.current.Load()) > 0) {
		needRestart = append(needRestart, "tls.cert")
		files.public = *s.public.current.Load()
	}
	if (len(files.admin) > 0) != (len(*s.admin.current.Load()) > 0) {
		needRestart = append(needRestart, "admin.tls-cert")
		files.admin = *s.admin.current.Load()
	}
	if err := s.node.server.Tune(next.tuning()); err != nil { // the last that may fail
		return next, nil, err
	}
	s.take(files)
	s.drain.Store(int64(next.Door.Drain))
	if s.now.level != nil && next.level != nil && next.level != s.now.level {
		s.now.level.Set(next.level.Level())
		next.level = s.now.level // the log's
	}
	if late := expired(files.public, next.Door.TLSCerts, time.Now()); len(late) > 0 && len(files.public) == len(next.Door.TLSCerts) {
		s.node.log.Warn("certificates are not valid now", "files", late)
	}
	needRestart = append(needRestart, restartsFor(s.node.cfg.said, next.said)...)
	slices.Sort(needRestart)
	return next, slices.Compact(needRestart), nil
}

// restartsFor names the settings that were said otherwise at the start and
// cannot change since.
func restartsFor(start, now map[string]said) (names []string) {
	for _, name := range settingNames() {
		if !liveSettings[name] && start[name].value != now[name].value {
			names = append(names, name)
		}
	}
	return names
}

// tlsOf is how to speak TLS with pairs, nil where there are none.
func (s *settler) tlsOf(pairs *keyPairs) *tls.Config {
	if len(*pairs.current.Load()) == 0 {
		return nil
	}
	return pairs.config(tlsVersions[s.node.cfg.Door.TLSMin], "http/1.1")
}
