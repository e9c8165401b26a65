package shop

import (
	"math/rand/v2"
)

// household is one person, or several who share devices.
type household struct {
	first   int // the number of its first user
	people  int
	devices []*device
	seed    uint64 // for its people's names and addresses
	zone    uint8  // the index of its time zone in zones
	// account says which people have an account.
	account [3]bool
	// reports is how many events about these people the backend has made.
	reports uint16
}

// newHousehold draws the household whose first user has this number.
func newHousehold(o Options, first int) *household {
	r := rand.New(rand.NewPCG(o.Seed, mix(uint64(first))))
	h := &household{first: first, people: 1, seed: r.Uint64()}
	switch x := r.Float64(); {
	case x < FamilyShare:
		h.people = 3
	case x < FamilyShare+CoupleShare:
		h.people = 2
	}
	h.people = min(h.people, o.Users-first)
	h.zone = drawZone(r)
	for i := range h.people {
		h.account[i] = r.Float64() < AccountShare
	}
	if r.Float64() < ComputerShare {
		h.add(r, WebV3, AndroidJava, 0, h.people > 1)
	}
	for i := range h.people {
		if r.Float64() < AppShare {
			h.add(r, AndroidJava, kinds, i, h.people > 1 && r.Float64() < SharedAppShare)
		}
	}
	if len(h.devices) == 0 {
		h.add(r, WebV3, AndroidJava, 0, h.people > 1)
	}
	return h
}

// add adds a device of a random kind in [least, most), which one person or, if shared
// is set, everybody uses.
func (h *household) add(r *rand.Rand, least, most Kind, owner int, shared bool) {
	kind, x := least, r.Float64()
	for x -= KindShare[kind]; x >= 0 && kind+1 < most; x -= KindShare[kind] {
		kind++
	}
	d := &device{
		home: h, number: uint8(len(h.devices)), kind: kind, owner: owner, shared: shared,
		seed: r.Uint64(), clock: newClock(r), latency: 60 * lognormal(r, 0.5),
		// A multiple of the mean: some people come far more often than others.
		gap:       1 / min(lognormal(r, 1), 12),
		installed: r.Float64() >= InstalledShare,
	}
	if kind.app() {
		d.latency = 250 * lognormal(r, 0.5)
	}
	if shared {
		owner = r.IntN(h.people)
	}
	if h.account[owner] && kind != WebBlocked && r.Float64() < LoggedInShare {
		d.user = h.first + owner + 1
	}
	d.random = *rand.NewPCG(r.Uint64(), r.Uint64())
	h.devices = append(h.devices, d)
}

// visitOf returns the device and the number of the person's visit at a time. If there
// are several, it is the one that began last.
func (h *household) visitOf(person int, at int64) (*device, uint16) {
	var found *device
	var visit visitSpan
	for _, d := range h.devices {
		for _, s := range d.recentVisits {
			if s.visit != 0 && s.person == person && s.first <= at && at <= s.last && s.first >= visit.first {
				found, visit = d, s
			}
		}
	}
	return found, visit.visit
}

// zones are the time zones in which customers live.
var zones = [...]struct {
	name, gmt, locale, country string
	offset                     int64
}{
	{"Europe/Berlin", "GMT+0200", "de-DE", "DE", 2 * hour},
	{"Europe/London", "GMT+0100", "en-GB", "GB", hour},
	{"Europe/Paris", "GMT+0200", "fr-FR", "FR", 2 * hour},
	{"Europe/Madrid", "GMT+0200", "es-ES", "ES", 2 * hour},
	{"Europe/Warsaw", "GMT+0200", "pl-PL", "PL", 2 * hour},
	{"Europe/Rome", "GMT+0200", "it-IT", "IT", 2 * hour},
	{"America/New_York", "GMT-0400", "en-US", "US", -4 * hour},
	{"America/Los_Angeles", "GMT-0700", "en-US", "US", -7 * hour},
	{"America/Sao_Paulo", "GMT-0300", "pt-BR", "BR", -3 * hour},
	{"Asia/Kolkata", "GMT+0530", "en-IN", "IN", 5*hour + 30*minute},
	{"Asia/Tokyo", "GMT+0900", "ja-JP", "JP", 9 * hour},
	{"Australia/Sydney", "GMT+1000", "en-AU", "AU", 10 * hour},
}

// drawZone draws the index of a zone; earlier ones are more likely.
func drawZone(r *rand.Rand) uint8 {
	return uint8(min(r.IntN(len(zones)), r.IntN(len(zones))))
}
