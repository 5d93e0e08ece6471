'use strict';
// The Node crew: takes orders as lines of JSON on stdin, says what it sees on stdout. proof/crew.py is its other end.

const readline = require('node:readline');
const { canonical } = require('./canonical');
const { Follower } = require('./follower');
const { Minter } = require('./tokens');

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

class Report {
  #counts = new Map();
  onFrame = () => {};

  count(name) {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  fault(fault) {
    say({ fault });
  }

  saw(caller, leaves, text) {
    process.stdout.write(`${caller}\t${JSON.stringify(leaves)}\t${text}\n`);
    this.onFrame();
  }

  completeness(caller, frame, revision) {
    say({ completeness: frame, caller, revision });
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

// Answers when every goal is reached, or the time is up, with what is held then.
function reach({ goals, timeoutS }) {
  let missing = goals;
  const answer = () => {
    clearTimeout(timer);
    report.onFrame = () => {};
    const documents = goals.map(([caller, user]) => {
      const profile = held(caller, user);
      return [caller, user, profile === null ? null : canonical(profile)];
    });
    say({ held: documents, counts: report.counts() });
    report.clear();
  };
  const look = () => {
    missing = missing.filter(([caller, user, revision]) => (held(caller, user)?.revision ?? null) !== revision);
    if (missing.length === 0) answer();
  };
  const timer = setTimeout(answer, timeoutS * 1000);
  report.onFrame = look;
  look();
}

const everybody = (act) => [...followers.values()].forEach(act);
const orders = {
  begin,
  reach,
  connect: ({ address }) => everybody((follower) => follower.serverIsAt(address)),
  rest: ({ isResting }) => everybody((follower) => follower.rest(isResting)),
  withdrawn: ({ user, revision }) => everybody((follower) => follower.withdrawn(user, revision)),
  end: () => process.exit(0),
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
  })
  .on('close', () => process.exit(0));
