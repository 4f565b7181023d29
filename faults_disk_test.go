// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A testDisk is an ext4 file system of its own on a loop device.
type testDisk struct {
	t     testing.TB
	image string
	at    string // where it is mounted
}

// newTestDisk makes a disk and mounts it until the test ends. why says what the
// machine lacks for one.
func newTestDisk(t testing.TB, megabytes int64) (d *testDisk, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, "it takes root to mount a disk"
	}
	for _, program := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, "there is no " + program
		}
	}
	dir := t.TempDir()
	d = &testDisk{t: t, image: filepath.Join(dir, "image"), at: filepath.Join(dir, "disk")}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, megabytes<<20), os.Mkdir(d.at, 0o700)); err != nil {
		t.Fatal(err)
	}
	// Root may use what is else reserved for it, so nothing is reserved.
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		return nil, "there is no loop device: " + strings.TrimSpace(string(out))
	}
	t.Cleanup(d.unmount)
	return d, ""
}

func (d *testDisk) mount() {
	d.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		d.t.Fatalf("mount: %v\n%s", err, out)
	}
}

func (d *testDisk) unmount() {
	d.t.Helper()
	if out, err := exec.Command("umount", d.at).CombinedOutput(); err != nil {
		d.t.Errorf("umount: %v\n%s", err, out)
	}
}

// shutdownNow is FS_IOC_SHUTDOWN, _IOR('X', 125, __u32), of <linux/fs.h>'s
// family, and FS_SHUTDOWN_FLAGS_NOLOGFLUSH: the file system stops at once. What
// it has not written to the device is never written, its journal neither.
const (
	shutdownNow        = 0x8004587d
	shutdownNoLogFlush = 2
)

// cutPower stops the file system in the midst of what it does. What processes
// write or sync from then on fails. At the next mount the journal is replayed,
// as after a power cut.
//
// The device is a file, so what the file system handed to it survives, even if
// it did not ask for a flush: a disk that loses its write cache is not part of
// this.
func (d *testDisk) cutPower() {
	d.t.Helper()
	root, err := os.Open(d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	defer root.Close()
	flags := uint32(shutdownNoLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), shutdownNow, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		d.t.Fatalf("shut the file system down: %v", errno)
	}
}

// cutGrace is how long after a cut an answer may be of a sync before it. The
// kernel tells some syncs that are under way at that very moment that they have
// succeeded, which they have not: a machine without power tells nobody anything.
const cutGrace = 250 * time.Millisecond

// cutPowerUnderLoad stops the file system below a node under load. What a client
// was told before must be there afterwards. The node itself goes on for a while,
// which it would not without power: it must acknowledge nothing any more.
func cutPowerUnderLoad(r *faultRig) {
	disk, why := newTestDisk(r, 512)
	if disk == nil {
		r.skip(why)
	}
	r.data = filepath.Join(disk.at, "data")
	for range 2 {
		r.start()
		r.resend(r.unanswered())
		stop := r.load()
		time.Sleep(faultTurn)
		witness := writeWitness(r, disk)
		r.powerless(time.Now())
		disk.cutPower()
		time.Sleep(2 * cutGrace)
		r.kill()
		stop()
		r.powerless(time.Time{})
		disk.unmount()
		disk.mount()
		witness()
	}
	r.start()
	r.resend(r.unanswered())
	r.stop()
}

// powerless says since when there is no power; zero is for now there is again.
func (r *faultRig) powerless(since time.Time) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = since
	if r.late > 0 {
		r.Errorf("%d beacons were acknowledged %v and more after the disk was gone", r.late, cutGrace)
	}
}

// writeWitness writes what shows whether the power was really cut: bytes that
// were synced, and behind them bytes that were not. look wants to find the first,
// and not all of the others.
func writeWitness(r *faultRig, disk *testDisk) (look func()) {
	r.Helper()
	name := filepath.Join(disk.at, "witness")
	f, err := os.Create(name)
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	const synced, unsynced = 64 << 10, 8 << 20
	if _, err := f.Write(make([]byte, synced)); err != nil {
		r.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		r.Fatal(err)
	}
	if _, err := f.Write(make([]byte, unsynced)); err != nil {
		r.Fatal(err)
	}
	return func() {
		r.Helper()
		info, err := os.Stat(name)
		if err != nil {
			r.Error(err)
		} else if info.Size() < synced || info.Size() >= synced+unsynced {
			r.Errorf("after the cut the witness has %d bytes, of %d synced and %d others: the rig proves nothing", info.Size(), synced, unsynced)
		}
	}
}

// fillDiskUnderLoad fills the disk below a node under load, holds it full, and
// makes room again. Without room decisions go on and events are refused; with
// room the node takes events again by itself.
func fillDiskUnderLoad(r *faultRig) {
	disk, why := newTestDisk(r, 96)
	if disk == nil {
		r.skip(why)
	}
	r.data = filepath.Join(disk.at, "data")
	r.start()
	stop := r.load()
	time.Sleep(faultTurn)
	ballast := filepath.Join(disk.at, "ballast")
	fill(r, ballast)
	waitFor(r, "events to be refused", func() bool {
		return !r.send(fmt.Sprint("probe", time.Now().UnixNano()))
	})
	if status, text, err := r.ask(r.node.request("refused")); err != nil || status != http.StatusServiceUnavailable {
		r.Errorf("on a full disk events alone are answered %d %s, %v, want 503", status, text, err)
	}
	for range 20 {
		status, text := r.decides()
		if status != http.StatusOK || !strings.Contains(text, `"slot":"hero"`) || !strings.Contains(text, `"code":"unavailable"`) {
			r.Errorf("on a full disk a page view is answered %d %s, want a decision, and its events refused as unavailable", status, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := os.Remove(ballast); err != nil {
		r.Fatal(err)
	}
	waitFor(r, "events to be taken again", func() bool {
		return r.send(fmt.Sprint("again", time.Now().UnixNano()))
	})
	stop()
	r.resend(r.unanswered())
	r.stop()
}

// fill writes a file until the disk takes no more.
func fill(r *faultRig, name string) {
	r.Helper()
	f, err := os.Create(name)
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 1<<20); ; {
		_, err := f.Write(chunk)
		if errors.Is(err, syscall.ENOSPC) && len(chunk) == 1 {
			return
		}
		if errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:max(1, len(chunk)/16)]
			continue
		}
		if err != nil {
			r.Fatal(err)
		}
	}
}
