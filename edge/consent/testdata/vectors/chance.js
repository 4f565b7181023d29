// SPDX-License-Identifier: Apache-2.0

// Numbers that look random and are the same on every run (mulberry32), so that
// the vectors change only when this folder does.
'use strict';

exports.chance = (seed) => {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return {
    below,
    yes: (share = 0.5) => next() < share,
    pick: (list) => list[below(list.length)],
    /** Each id from 1 to most with the given share. */
    ids: (most, share) => Array.from({ length: most }, (_, i) => i + 1).filter(() => next() < share),
  };
};

/** Ids as runs of neighbours: [[first, last], ...]. */
exports.runs = (ids) => {
  const out = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const open = out[out.length - 1];
    if (open && open[1] === id - 1) open[1] = id;
    else out.push([id, id]);
  }
  return out;
};

/** One vector a line, so that a difference can be read. */
exports.print = (vectors) => process.stdout.write('[\n' + vectors.map((v) => JSON.stringify(v)).join(',\n') + '\n]\n');
