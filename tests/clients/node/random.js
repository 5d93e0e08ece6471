'use strict';
// Randomness that a seed repeats: the first bytes of SHA-256 of seed and number.

const { createHash } = require('node:crypto');

class Random {
  #seed;
  #number = 0;

  constructor(seed) {
    this.#seed = seed;
  }

  // From 0 up to, and without, 1.
  next() {
    this.#number += 1;
    return createHash('sha256').update(`${this.#seed} ${this.#number}`).digest().readUInt32BE() / 2 ** 32;
  }

  // A waiting time of a Poisson process.
  wait(mean) {
    return -Math.log(1 - this.next()) * mean;
  }
}

module.exports = { Random };
