package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// cpus is a set of processors, in the kernel's format.
type cpus [16]uint64

func (c *cpus) add(n int)      { c[n/64] |= 1 << (n % 64) }
func (c *cpus) has(n int) bool { return c[n/64]&(1<<(n%64)) != 0 }

// allowed returns the processors that this process may run on.
func allowed() (set cpus, numbers []int, err error) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return set, nil, errno
	}
	for n := range len(set) * 64 {
		if set.has(n) {
			numbers = append(numbers, n)
		}
	}
	return set, numbers, nil
}

// keepApart pins the contestants to one half of the processors, and the load and the
// upstream, this process too, to the other half, until undo is called. Otherwise the
// figures would show how they wait for each other. apart is false if there is only one
// processor.
func (b *bench) keepApart(contestants []*contestant) (undo func(), apart bool, err error) {
	all, numbers, err := allowed()
	if err != nil || len(numbers) < 2 {
		return func() {}, false, err
	}
	var theirs, ours cpus
	for i, n := range numbers {
		if i < len(numbers)/2 {
			theirs.add(n)
		} else {
			ours.add(n)
		}
	}
	var proxies []int
	for _, c := range contestants {
		pids, err := family(c.process.cmd.Process.Pid)
		if err != nil {
			return func() {}, false, err
		}
		proxies = append(proxies, pids...)
	}
	others := []int{os.Getpid()}
	for _, p := range b.all {
		others = append(others, p.cmd.Process.Pid)
	}
	move := func(pids []int, set *cpus) error {
		for _, pid := range pids {
			if err := pin(pid, set); err != nil {
				return err
			}
		}
		return nil
	}
	undo = func() {
		move(others, &all)
		move(proxies, &all)
	}
	// The others include the proxies, so move the proxies last.
	return undo, true, errors.Join(move(others, &ours), move(proxies, &theirs))
}

// pin restricts all threads of a process, and those that they start later, to some
// processors.
func pin(pid int, set *cpus) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(id), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
		if errno != 0 && errno != syscall.ESRCH {
			return errno
		}
	}
	return nil
}
