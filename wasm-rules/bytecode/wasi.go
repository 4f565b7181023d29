// SPDX-License-Identifier: Apache-2.0

package bytecode

// wasiModule is the only module whose functions can be imported.
const wasiModule = "wasi_snapshot_preview1"

// wasiTypes are the functions of WASI preview 1. None of them reaches anything:
// see stub.
var wasiTypes = map[string]string{
	"args_get": "ii:i", "args_sizes_get": "ii:i",
	"environ_get": "ii:i", "environ_sizes_get": "ii:i",
	"clock_res_get": "ii:i", "clock_time_get": "ili:i",
	"fd_advise": "illi:i", "fd_allocate": "ill:i", "fd_close": "i:i", "fd_datasync": "i:i",
	"fd_fdstat_get": "ii:i", "fd_fdstat_set_flags": "ii:i", "fd_fdstat_set_rights": "ill:i",
	"fd_filestat_get": "ii:i", "fd_filestat_set_size": "il:i", "fd_filestat_set_times": "illi:i",
	"fd_pread": "iiili:i", "fd_prestat_get": "ii:i", "fd_prestat_dir_name": "iii:i",
	"fd_pwrite": "iiili:i", "fd_read": "iiii:i", "fd_readdir": "iiili:i", "fd_renumber": "ii:i",
	"fd_seek": "ilii:i", "fd_sync": "i:i", "fd_tell": "ii:i", "fd_write": "iiii:i",
	"path_create_directory": "iii:i", "path_filestat_get": "iiiii:i", "path_filestat_set_times": "iiiilli:i",
	"path_link": "iiiiiii:i", "path_open": "iiiiillii:i", "path_readlink": "iiiiii:i",
	"path_remove_directory": "iii:i", "path_rename": "iiiiii:i", "path_symlink": "iiiii:i",
	"path_unlink_file": "iii:i",
	"poll_oneoff":      "iiii:i", "proc_exit": "i:", "proc_raise": "i:i", "sched_yield": ":i",
	"random_get": "ii:i", "sock_accept": "iii:i", "sock_recv": "iiiiii:i", "sock_send": "iiiii:i",
	"sock_shutdown": "ii:i",
}

// wasiType returns the type of a function that can be imported.
func wasiType(module, name string) (funcType, bool) {
	letters, ok := wasiTypes[name]
	if module != wasiModule || !ok {
		return funcType{}, false
	}
	return signature(letters), true
}
