'use strict';
// The Node group: reads commands as lines of JSON from stdin and prints frames and results to stdout, for
// proof/client_groups.py.

const readline = require('node:readline');
const { canonical } = require('./canonical');
const { Follower } = require('./follower');
const { Minter } = require('./tokens');

const printMessage = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

class Report {
  #counts = new Map();
  onFrame = () => {};

  count(name) {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  fault(fault) {
    printMessage({ fault });
  }

  frame(caller, leaves, text) {
    process.stdout.write(`${caller}\t${JSON.stringify(leaves)}\t${text}\n`);
    this.onFrame();
  }

  completeness(caller, frame, revision) {
    printMessage({ completeness: frame, caller, revision });
  }

  counts() {
    return Object.fromEntries(this.#counts);
  }

  clear() {
    this.#counts.clear();
  }
}

const report = new Report();
let followers = new Map();

const held = (caller, user) => followers.get(caller).users.get(user).document.profile;

function begin({ seed, secret, clockOffsetS, callers }) {
  const minter = new Minter(secret, clockOffsetS);
  followers = new Map(callers.map((caller) => [caller.name, new Follower(caller, minter, seed, report)]));
}

// Prints what is held once every goal is reached or the time is up.
function reach({ goals, timeoutS }) {
  let missing = goals;
  const answer = () => {
    clearTimeout(timer);
    report.onFrame = () => {};
    const documents = goals.map(([caller, user]) => {
      const profile = held(caller, user);
      return [caller, user, profile === null ? null : canonical(profile)];
    });
    printMessage({ held: documents, counts: report.counts() });
    report.clear();
  };
  const check = () => {
    missing = missing.filter(([caller, user, revision]) => (held(caller, user)?.revision ?? null) !== revision);
    if (missing.length === 0) answer();
  };
  const timer = setTimeout(answer, timeoutS * 1000);
  report.onFrame = check;
  check();
}

const forEachFollower = (act) => [...followers.values()].forEach(act);
const commands = {
  begin,
  reach,
  connect: ({ address }) => forEachFollower((follower) => follower.serverIsAt(address)),
  rest: ({ isResting }) => forEachFollower((follower) => follower.rest(isResting)),
  withdrawn: ({ user, revision }) => forEachFollower((follower) => follower.withdrawn(user, revision)),
  end: () => process.exit(0),
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on('close', () => process.exit(0));
