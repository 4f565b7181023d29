// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
)

//go:embed asset/*.css asset/*.js asset/*.svg
var assetFiles embed.FS

// An asset is a file that pages load.
type asset struct {
	body, contentType, version string
}

// contentTypes are those of the files there are, whatever the machine says.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// assets are those by name.
type assets map[string]asset

func loadAssets() (assets, error) {
	all := assets{}
	entries, err := assetFiles.ReadDir("asset")
	if err != nil {
		return nil, fmt.Errorf("console: assets: %w", err)
	}
	for _, entry := range entries {
		body, err := assetFiles.ReadFile("asset/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("console: assets: %w", err)
		}
		sum := sha256.Sum256(body)
		all[entry.Name()] = asset{string(body), contentTypes[path.Ext(entry.Name())], hex.EncodeToString(sum[:6])}
	}
	return all, nil
}

// link returns an asset's address, which changes with the file.
func (a assets) link(name string) (string, error) {
	known, ok := a[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return pagePath + "/asset/" + name + "?v=" + known.version, nil
}

// asset answers GET /console/asset/{name}.
func (c *Console) asset(q *call) error {
	known, ok := c.assets[q.r.PathValue("name")]
	if !ok {
		return errNotFound
	}
	if q.r.URL.Query().Get("v") == known.version {
		q.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return q.bytes(http.StatusOK, known.contentType, []byte(known.body))
}
