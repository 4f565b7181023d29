// SPDX-License-Identifier: Apache-2.0

package geo

import (
	_ "embed"

	"github.com/nearside/nearside/geo/internal/pack"
)

//go:generate go run ./internal/gencountry -out country.mmdb.pack

// packedCountry is the built-in country database, whole networks of /24 and /48
// and their country, nothing else. ATTRIBUTION.md says where it comes from.
//
//go:embed country.mmdb.pack
var packedCountry []byte

// openEmbedded opens the built-in database.
func openEmbedded(known *tables) (*database, error) {
	return openDatabase(known, source{"embedded", func() ([]byte, error) { return pack.Unpack(packedCountry) }})
}
