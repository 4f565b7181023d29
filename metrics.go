// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/nearside/nearside/geo"
	"github.com/nearside/nearside/stream"
)

// writeStreamMetrics writes the event log's counts in the Prometheus text
// format.
func writeStreamMetrics(w io.Writer, s stream.Stats) {
	counter(w, "nearside_stream_stored_events_total", "events the disk acknowledged", s.Stored)
	counter(w, "nearside_stream_groups_total", "commit groups", s.Groups)
	counter(w, "nearside_stream_frames_total", "messages that hold the events", s.Frames)
	counter(w, "nearside_stream_repeats_total", "events that were known and not stored again", s.Repeats)
	counter(w, "nearside_stream_refused_total", "events that met a full queue or a log that was down", s.Refused)
	counter(w, "nearside_stream_late_total", "publishes whose wait ended before the disk answered", s.Late)
	counter(w, "nearside_stream_failed_groups_total", "groups that were not stored whole", s.Failed)
	counter(w, "nearside_stream_replaced_total", "times the server behind the log was replaced", s.Replaced)
	gauge(w, "nearside_stream_remembered", "events and transactions whose repeats would be known", uint64(s.Remembered))
	counter(w, "nearside_stream_forgotten_total", "events forgotten as repeats before their day was over", s.Forgotten)
	counter(w, "nearside_stream_damaged_total", "stored frames that could not be read", s.Damaged)
	counter(w, "nearside_stream_expired_frames_total", "messages deleted because they had been kept long enough", s.Expired)
	counter(w, "nearside_stream_dropped_frames_total", "messages of events that a full log dropped for newer ones", s.Dropped)
	counter(w, "nearside_stream_records_stored_total", "decision records the disk acknowledged", s.RecordsStored)
	counter(w, "nearside_stream_record_frames_total", "messages that hold the decision records", s.RecordFrames)
	counter(w, "nearside_stream_records_dropped_total", "decision records there was no room for, or that failed", s.RecordsDropped)
	counter(w, "nearside_stream_rewritten_frames_total", "messages that were written anew without persons who are erased", s.Rewritten)
	counter(w, "nearside_stream_erased_events_total", "events that erasures took out of the log", s.ErasedEvents)
	counter(w, "nearside_stream_erased_records_total", "decision records that erasures took out", s.ErasedRecords)
	counter(w, "nearside_stream_erased_late_total", "events and records that came after their person was erased, and were not stored", s.ErasedLate)
	gauge(w, "nearside_erasures_waiting", "persons who are yet to be erased from the log", uint64(s.ErasuresWaiting))
	waits := uint64(0)
	if !s.ErasureWaitsSince.IsZero() {
		waits = uint64(max(0, time.Since(s.ErasureWaitsSince)/time.Second))
	}
	gauge(w, "nearside_erasure_wait_seconds", "how long the first of them has waited; a day is too long", waits)
	storing := uint64(1)
	if s.Err != nil {
		storing = 0
	}
	gauge(w, "nearside_stream_storing", "whether events are being stored: 1 or 0", storing)
	gauge(w, "nearside_stream_queued_events", "events waiting to be stored", uint64(s.QueuedEvents))
	gauge(w, "nearside_stream_queued_bytes", "bytes of the events waiting to be stored", uint64(s.QueuedBytes))
	gauge(w, "nearside_stream_queued_record_bytes", "bytes of the decision records waiting to be stored", uint64(s.RecordBytesQueued))
	gauge(w, "nearside_stream_log_bytes", "size of the event log", s.LogBytes)
	writeStoreMetrics(w, s.Stores)
}

// writeStoreMetrics writes how full each store of the data directory is.
func writeStoreMetrics(w io.Writer, stores []stream.StoreSize) {
	family(w, "gauge", "nearside_stream_store_bytes", "size of a store on disk")
	for _, s := range stores {
		fmt.Fprintf(w, "nearside_stream_store_bytes{store=%q} %d\n", s.Name, s.Bytes)
	}
	family(w, "gauge", "nearside_stream_store_max_bytes", "size at which a store refuses more; records let their oldest go")
	for _, s := range stores {
		fmt.Fprintf(w, "nearside_stream_store_max_bytes{store=%q} %d\n", s.Name, s.MaxBytes)
	}
}

// writeGeoMetrics writes which place database serves. There are two files at
// most, told apart by their number: both may be of one type.
func writeGeoMetrics(w io.Writer, s geo.Status) {
	family(w, "gauge", "nearside_geo_built_timestamp_seconds", "when a database file was built by its maker")
	for i, f := range s.Files {
		fmt.Fprintf(w, "nearside_geo_built_timestamp_seconds{file=\"%d\",type=%q,shape=%q} %d\n", i+1, f.Type, f.Shape.String(), f.Built.Unix())
	}
	family(w, "gauge", "nearside_geo_networks", "networks of a database file by address family")
	for i, f := range s.Files {
		fmt.Fprintf(w, "nearside_geo_networks{file=\"%d\",family=\"ipv4\"} %d\n", i+1, f.NetworksIPv4)
		fmt.Fprintf(w, "nearside_geo_networks{file=\"%d\",family=\"ipv6\"} %d\n", i+1, f.NetworksIPv6)
	}
	gauge(w, "nearside_geo_places", "different places that addresses lead to", uint64(s.Places))
	gauge(w, "nearside_geo_table_bytes", "memory that the table of addresses and places takes", s.Bytes)
	counter(w, "nearside_geo_reloads_total", "times that changed database files were taken into service", s.Reloads)
	counter(w, "nearside_geo_reload_errors_total", "times that changed database files were refused", s.ReloadErrors)
}

// writeBuildMetrics writes what the program is.
func writeBuildMetrics(w io.Writer) {
	family(w, "gauge", "nearside_build_info", "1, with the versions of the program and of Go")
	fmt.Fprintf(w, "nearside_build_info{version=%q,go=%q} 1\n", version, runtime.Version())
}

// writeSettingsMetrics writes how the settings' reloads went.
func writeSettingsMetrics(w io.Writer, s *settler) {
	family(w, "counter", "nearside_reloads_total", "times the settings were read again, by what came of it")
	fmt.Fprintf(w, "nearside_reloads_total{result=\"taken\"} %d\n", s.reloads.Load())
	fmt.Fprintf(w, "nearside_reloads_total{result=\"refused\"} %d\n", s.refused.Load())
	gauge(w, "nearside_settings_pending", "changed settings that need a restart", s.pending.Load())
	if ends := s.public.ends(); !ends.IsZero() {
		gauge(w, "nearside_tls_certificate_end_seconds", "when the first of the certificates ends, in seconds since 1970", uint64(max(0, ends.Unix())))
	}
}

func counter(w io.Writer, name, help string, value uint64) { metric(w, "counter", name, help, value) }
func gauge(w io.Writer, name, help string, value uint64)   { metric(w, "gauge", name, help, value) }

func metric(w io.Writer, kind, name, help string, value uint64) {
	family(w, kind, name, help)
	fmt.Fprintf(w, "%s %d\n", name, value)
}

// family writes what stands before the series of a name.
func family(w io.Writer, kind, name, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}
