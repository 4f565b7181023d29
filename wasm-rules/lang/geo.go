// SPDX-License-Identifier: Apache-2.0

package lang

import "math"

// earthKm is the earth's mean radius (IUGG R1).
const earthKm = 6371.0088

// sinTerms are the coefficients of x³, x⁵, … x²¹ of sin x, highest first. What is
// left out is below 2e-18 up to a right angle.
var sinTerms = [...]float64{
	1.0 / 51090942171709440000, -1.0 / 121645100408832000, 1.0 / 355687428096000, -1.0 / 1307674368000,
	1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6,
}

// asinTop and asinBottom are the rational approximation of asin that FreeBSD's
// libm uses (s_asin.c, by Sun Microsystems), highest power first.
var (
	asinTop = [...]float64{
		3.47933107596021167570e-05, 7.91534994289814532176e-04, -4.00555345006794114027e-02,
		2.01212532134862925881e-01, -3.25565818622400915405e-01, 1.66666666666666657415e-01,
	}
	asinBottom = [...]float64{
		7.70381505559019352791e-02, -6.88283971605453293030e-01, 2.02094576023350569471e+00,
		-2.40339491173441421878e+00, 1,
	}
)

// distanceKm returns the great-circle distance between two places in degrees, by
// the haversine formula on a sphere; it differs from the earth's own shape by up
// to 0.5 %. ok is false for what is no place: a latitude beyond ±90, a longitude
// beyond ±180, NaN.
//
// Compiled rules and the interpreter must agree to the last bit, so it uses
// nothing but + - * / and square roots, which IEEE 754 defines, in the order in
// which emitDistance emits them, and converts each product: that keeps Go from
// fusing it with a sum.
func distanceKm(lat1, lon1, lat2, lon2 float64) (km float64, ok bool) {
	if !(math.Abs(lat1) <= 90 && math.Abs(lon1) <= 180 && math.Abs(lat2) <= 90 && math.Abs(lon2) <= 180) {
		return 0, false
	}
	sinLat := sinDegrees(math.Abs(lat2-lat1) * 0.5)
	half := math.Abs(lon2-lon1) * 0.5
	if half > 90 {
		half = 180 - half
	}
	sinLon := sinDegrees(half)
	cos := float64(cosDegrees(lat1) * cosDegrees(lat2))
	a := float64(sinLat*sinLat) + float64(cos*float64(sinLon*sinLon))
	return float64(2*earthKm) * asin(math.Min(math.Sqrt(a), 1)), true
}

// sinDegrees returns the sine of 0 to 90 degrees.
func sinDegrees(degrees float64) float64 {
	x := float64(degrees * (math.Pi / 180))
	square := float64(x * x)
	sum := sinTerms[0]
	for _, term := range sinTerms[1:] {
		sum = float64(sum*square) + term
	}
	return x + float64(x*float64(sum*square))
}

// cosDegrees returns the cosine of -90 to 90 degrees, as 1 - 2 sin²(x/2).
func cosDegrees(degrees float64) float64 {
	s := sinDegrees(math.Abs(degrees) * 0.5)
	return 1 - float64(2*float64(s*s))
}

// asin returns the arc sine of 0 to 1.
func asin(x float64) float64 {
	if x < 0.5 {
		return x + float64(x*asinRatio(float64(x*x)))
	}
	t := float64((1 - x) * 0.5)
	s := math.Sqrt(t)
	return math.Pi/2 - float64(2*(s+float64(s*asinRatio(t))))
}

// asinRatio returns (asin(x) - x) / x of x's square t.
func asinRatio(t float64) float64 {
	top := asinTop[0]
	for _, term := range asinTop[1:] {
		top = float64(top*t) + term
	}
	bottom := asinBottom[0]
	for _, term := range asinBottom[1:] {
		bottom = float64(bottom*t) + term
	}
	return float64(t*top) / bottom
}
