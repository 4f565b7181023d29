// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/nearside/nearside/bench/traffic"
)

//go:embed nginx
var nginxFiles embed.FS

// errMissing is why a peer that is not installed is left out.
var errMissing = errors.New("not here: make peers installs it")

// nginxModules is where Debian's packages put modules.
const nginxModules = "/usr/lib/nginx/modules"

// An nginxPlan is how one nginx is configured.
type nginxPlan struct {
	Dir, Geo string
	Addr     netip.AddrPort
	Modules  []string
}

// startNginx starts nginx with one of our configurations.
func startNginx(dir, name string, plan nginxPlan) (*server, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not on everybody's path
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("nginx is %w", errMissing)
		}
	}
	plan.Dir = filepath.Join(dir, "nginx-"+name)
	if err := os.MkdirAll(plan.Dir, 0o755); err != nil {
		return nil, err
	}
	if plan.Addr, err = freeAddr(); err != nil {
		return nil, err
	}
	for i, m := range plan.Modules {
		plan.Modules[i] = filepath.Join(nginxModules, m)
		if _, err := os.Stat(plan.Modules[i]); err != nil {
			return nil, fmt.Errorf("nginx's %s is %w", m, errMissing)
		}
	}
	conf := filepath.Join(plan.Dir, "nginx.conf")
	if err := writeConf(conf, name, plan); err != nil {
		return nil, err
	}
	return start("nginx "+name, plan.Addr, program, "-p", plan.Dir, "-c", conf)
}

func writeConf(file, name string, plan nginxPlan) error {
	t, err := template.ParseFS(nginxFiles, "nginx/head.conf", "nginx/"+name+".conf")
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(t.ExecuteTemplate(out, "head.conf", plan), t.ExecuteTemplate(out, name+".conf", plan), out.Close())
}

// startPixel starts the pixel collector.
func startPixel(dir string) (*server, error) { return startNginx(dir, "pixel", nginxPlan{}) }

// startLua starts the decision in Lua, on the same country database as ours.
func startLua(dir, countries string, c *traffic.Corpus) (*server, error) {
	if found, err := filepath.Glob("/usr/lib/*/lua/5.1/cjson.so"); err != nil || len(found) == 0 {
		return nil, fmt.Errorf("lua-cjson is %w", errMissing)
	}
	own := filepath.Join(dir, "nginx-decide")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, err
	}
	rules, err := c.Lua()
	if err != nil {
		return nil, err
	}
	script, err := nginxFiles.ReadFile("nginx/decide.lua")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(own, "rules.json"), rules, 0o644), os.WriteFile(filepath.Join(own, "decide.lua"), script, 0o644)); err != nil {
		return nil, err
	}
	return startNginx(dir, "decide", nginxPlan{
		Geo: countries, Modules: []string{"ndk_http_module.so", "ngx_http_lua_module.so", "ngx_http_geoip2_module.so"},
	})
}

// unpackCountries writes the product's country database for others.
func unpackCountries(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "country.mmdb")
	_, err := run(ctx, repository, "go", "run", "./geo/internal/unpackcountry", "geo/country.mmdb.pack", file)
	return file, err
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}
