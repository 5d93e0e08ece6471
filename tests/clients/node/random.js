'use strict';
// Repeatable random numbers: the first bytes of the SHA-256 hash of seed and counter.

const { createHash } = require('node:crypto');

class Random {
  #seed;
  #number = 0;

  constructor(seed) {
    this.#seed = seed;
  }

  // Returns a number from 0 up to but not including 1.
  next() {
    this.#number += 1;
    return createHash('sha256').update(`${this.#seed} ${this.#number}`).digest().readUInt32BE() / 2 ** 32;
  }

  // Returns a waiting time of a Poisson process with this mean.
  wait(mean) {
    return -Math.log(1 - this.next()) * mean;
  }
}

module.exports = { Random };
