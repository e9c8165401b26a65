package sessionstate

// index finds items by their keys. It is a hash table whose places have the items
// themselves, and next to it, in memory without pointers, an entry for each with
// the order of their use: with Go's map there would be twice as much to be fetched
// for a look-up, one thing behind the other, and for the collector to follow.
type index struct {
	// places has each item where its hash says, or behind that. Its length is a
	// power of two.
	places []place
	n      int
	// entries come in blocks, so that no large table is ever copied at once; free
	// is the first of those that are not used, and its behind the next.
	blocks []*[blockSize]entry
	free   ref
}

// place has no item if its entry is 0.
type place struct {
	item item
	// hash is a part of the key's.
	hash  uint32
	entry ref
}

// ref is an entry of an index, 0 none.
type ref uint32

const (
	blockBits = 8
	blockSize = 1 << blockBits
)

// entry is when the item of a place was used.
type entry struct {
	hash uint32
	// before and behind are those that were used before it and after it.
	before, behind ref
	// born is what segmented.born was when the key went on probation; 0 if it is
	// protected.
	born uint32
}

// at returns an entry.
func (x *index) at(r ref) *entry { return &x.blocks[(r-1)>>blockBits][(r-1)%blockSize] }

// find returns the place of a key, or nil. It is one until the next add or remove.
func (x *index) find(key string, hash uint32) *place {
	if x.n == 0 {
		return nil
	}
	for i := hash; ; i++ {
		p := x.place(i)
		if p.entry == 0 {
			return nil
		}
		if p.hash == hash && p.item.key() == key {
			return p
		}
	}
}

func (x *index) place(i uint32) *place { return &x.places[i&uint32(len(x.places)-1)] }

// placeOf returns the place of an entry.
func (x *index) placeOf(r ref) *place { return x.place(x.placeAt(r)) }

func (x *index) placeAt(r ref) uint32 {
	i := x.at(r).hash
	for x.place(i).entry != r {
		i++
	}
	return i
}

// add makes a place and an entry for an item whose key has none.
func (x *index) add(it item, hash uint32) ref {
	if 4*(x.n+1) > 3*len(x.places) {
		x.grow()
	}
	if x.free == 0 {
		x.extend()
	}
	r := x.free
	e := x.at(r)
	x.free = e.behind
	*e = entry{hash: hash}
	x.put(place{it, hash, r})
	x.n++
	return r
}

// put puts what a place has where there is room.
func (x *index) put(p place) {
	i := p.hash
	for x.place(i).entry != 0 {
		i++
	}
	*x.place(i) = p
}

func (x *index) grow() {
	old := x.places
	x.places = make([]place, max(2*len(old), 8))
	for _, p := range old {
		if p.entry != 0 {
			x.put(p)
		}
	}
}

func (x *index) extend() {
	block := new([blockSize]entry)
	x.blocks = append(x.blocks, block)
	first := ref(len(x.blocks)-1)<<blockBits + 1
	for i := range block[:blockSize-1] {
		block[i].behind = first + ref(i) + 1
	}
	x.free = first
}

// remove takes an entry and its item out.
func (x *index) remove(r ref) {
	hole := x.placeAt(r)
	// What is behind it, up to the next empty place, moves up as far as it may.
	for i := hole + 1; x.place(i).entry != 0; i++ {
		if p := x.place(i); (i-p.hash)&uint32(len(x.places)-1) >= i-hole {
			*x.place(hole), hole = *p, i
		}
	}
	*x.place(hole) = place{}
	*x.at(r) = entry{behind: x.free}
	x.free = r
	x.n--
}
