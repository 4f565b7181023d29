// SPDX-License-Identifier: Apache-2.0

package edge

import "strconv"

// Buckets is the number of buckets Bucket spreads visitors over.
const Buckets = 10000

// Bucket returns a stable number from 0 to Buckets−1 for a visitor and a salt.
//
// It is GrowthBook's hash version 2 scaled by 10,000: FNV-1a (32 bit) of salt
// and value, FNV-1a again of that number's decimal digits, modulo 10,000. The
// second pass removes the bias between experiments that share visitors; using
// the same function lets results be compared across tools.
func Bucket(salt, visitor string) int {
	const offset, prime = 2166136261, 16777619
	h := uint32(offset)
	for i := range len(salt) {
		h = (h ^ uint32(salt[i])) * prime
	}
	for i := range len(visitor) {
		h = (h ^ uint32(visitor[i])) * prime
	}
	var digits [10]byte
	n := uint32(offset)
	for _, c := range strconv.AppendUint(digits[:0], uint64(h), 10) {
		n = (n ^ uint32(c)) * prime
	}
	return int(n % Buckets)
}
