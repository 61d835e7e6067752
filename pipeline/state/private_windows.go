package state

import "io/fs"

const noFollow = 0

// ownerOf tells nothing here: folders inherit who may use them.
func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }
