'use strict';
// One caller of the Node crew: it connects, subscribes, resumes, and takes frames as the contract says.

const WebSocket = require('ws');
const { Document, Fault } = require('./document');
const { Random } = require('./random');

const TOKEN_EXPIRED = 4401;
// Closes that the run brings about itself: ours, the token's end. A killed server closes nothing.
const EXPECTED_CLOSES = new Set([1000, 1005, 1006, TOKEN_EXPIRED]);
const LONG_LIFE_S = 3000;
// Of a token that is renewed, and of one that is not.
const RENEWED_LIFE_S = 5;
const SHORT_LIFE_S = 2;
const RENEW_AFTER_S = 1.5;
const RETRY_HIDDEN_AFTER_S = 2.5;
// One patch in so many is thrown away, as by a client that lost it; the next one shows the gap.
const LOSES_ONE_IN = 400;

class Follower {
  #caller;
  #minter;
  #random;
  #report;
  #address = null;
  #socket = null;
  #timers = [];
  #pings = [];
  #asks = 0;
  isResting = false;

  constructor(caller, minter, seed, report) {
    this.#caller = caller;
    this.#minter = minter;
    this.#random = new Random(`${seed} node ${caller.name}`);
    this.#report = report;
    this.users = new Map(caller.users.map((user) => [user, {
      document: new Document(),
      // The `id` of the subscribe that is still to be answered, and whether it had a cursor.
      asked: null,
      askedWithCursor: false,
      hasLostOne: false,
      isRefused: false,
      // Frames of an older revision held something that was withdrawn: none may come any more.
      floor: 0,
    }]));
  }

  // The server listens at `address` now, or `null`: it is to be followed no more.
  serverIsAt(address) {
    this.#address = address;
    if (this.#socket === null && address !== null) this.#connect();
    else this.#socket?.terminate();
  }

  #connect() {
    const headers = { authorization: `Bearer ${this.#token()}` };
    if (this.#caller.role === 'admin') headers['x-access-reason'] = 'proof by foreign clients';
    const socket = new WebSocket(`ws://${this.#address}/api/v2/live`, 'civic-profile.v1', { headers });
    this.#socket = socket;
    this.#pings = [];
    socket.on('open', () => this.#opened());
    socket.on('message', (data) => this.#take(data.toString()));
    socket.on('error', () => this.#count('connections refused or cut'));
    socket.on('close', (code) => this.#closed(code));
  }

  #opened() {
    this.#count('sockets opened');
    this.#subscribe([...this.users.keys()]);
    this.#leaveLater();
    this.#timers.push(setInterval(() => this.#retryRefused(), RETRY_HIDDEN_AFTER_S * 1000));
    if (this.#caller.token === 'renewed') {
      let ageS = 0;
      this.#timers.push(setInterval(() => this.#renew(ageS += RENEW_AFTER_S), RENEW_AFTER_S * 1000));
    }
  }

  #closed(code) {
    this.#timers.splice(0).forEach(clearTimeout);
    this.#socket = null;
    if (code === TOKEN_EXPIRED) {
      this.#count('tokens that expired (4401)');
      if (this.#caller.token !== 'expiring') this.#fault('the socket was closed as expired, though its token was not');
    } else if (!EXPECTED_CLOSES.has(code)) this.#fault(`the socket was closed with ${code}`);
    // The server may be down just now: then this is tried until it is not.
    if (this.#address !== null) setTimeout(() => this.#socket === null && this.#address && this.#connect(), 50);
  }

  // At rest nobody's socket ends with its token, so that nobody has to come back.
  #token() {
    const { token } = this.#caller;
    if (token === 'renewed') return this.#minter.of(this.#caller, RENEWED_LIFE_S);
    const lasts = token === 'lasting' || this.isResting;
    return this.#minter.of(this.#caller, lasts ? LONG_LIFE_S : SHORT_LIFE_S);
  }

  // What it says.

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #subscribe(ids) {
    const id = `ask-${this.#asks += 1}`;
    const users = ids.map((user) => {
      const followed = this.users.get(user);
      const { cursor } = followed.document;
      Object.assign(followed, { asked: id, askedWithCursor: cursor !== null, isRefused: false, hasLostOne: false });
      return cursor === null ? { user_id: user } : { user_id: user, cursor };
    });
    const fields = this.#caller.fields === null ? {} : { fields: this.#caller.fields };
    this.#say({ type: 'subscribe', id, users, schema_version: '2.0', ...fields });
  }

  #leaveLater() {
    this.#timers.push(setTimeout(() => this.#leave(), this.#random.wait(this.#caller.restless_s) * 1000));
  }

  #leave() {
    if (this.isResting) return this.#leaveLater();
    if (this.#random.next() < 0.5) {
      this.#count('left with a close');
      this.#socket.close();
    } else {
      this.#count('left without a word');
      this.#socket.terminate();
    }
  }

  #renew(ageS) {
    this.#say({ type: 'auth', token: this.#token() });
    this.#count('tokens renewed');
    const over = ageS - RENEWED_LIFE_S - 3;
    if (over >= 0 && over < RENEW_AFTER_S) this.#count('sockets that outlived their first token');
  }

  #retryRefused() {
    const refused = [...this.users].filter(([, followed]) => followed.isRefused).map(([user]) => user);
    if (refused.length > 0) this.#subscribe(refused);
  }

  // The user's consent changed at `revision`: behind the next answer, no frame may be older.
  withdrawn(user, revision) {
    if (!this.users.has(user) || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#pings.push([user, revision]);
    this.#say({ type: 'ping' });
  }

  // Does nothing of its own will for a while, and makes good what it lost.
  rest(isResting) {
    this.isResting = isResting;
    if (this.#caller.token === 'expiring') this.#say({ type: 'auth', token: this.#token() });
    const lost = [...this.users].filter(([, followed]) => followed.hasLostOne).map(([user]) => user);
    if (isResting && lost.length > 0) this.#subscribe(lost);
  }

  // What it hears.

  #take(text) {
    const frame = JSON.parse(text);
    const followed = this.users.get(frame.user_id);
    try {
      this.#understand(frame, followed);
    } catch (error) {
      this.#fault(`${frame.user_id}: ${error.name} ${error.message}: ${text.slice(0, 300)}`);
    }
    this.#report.saw(this.#caller.name, followed?.document.leaves() ?? [], text);
    if (this.#caller.is_slow && !this.isResting && this.#random.next() < 0.005) this.#pause();
  }

  #pause() {
    this.#count('pauses of the slow');
    const socket = this.#socket;
    socket.pause();
    setTimeout(() => socket.resume(), 1500);
  }

  #understand(frame, followed) {
    if (frame.type === 'pong') return this.#takePong();
    if (followed === undefined) throw new Fault(`an unexpected \`${frame.type}\``);
    switch (frame.type) {
      case 'profile': return this.#takeProfile(frame, followed);
      case 'patch': return this.#takePatch(frame, followed);
      case 'completeness': return this.#takeCompleteness(frame, followed);
      case 'gone':
        this.#answers(frame, followed);
        return followed.document.drop();
      case 'error': return this.#takeError(frame, followed);
      default: throw new Fault(`an unexpected \`${frame.type}\``);
    }
  }

  #takePong() {
    const ping = this.#pings.shift();
    if (ping === undefined) return;
    const followed = this.users.get(ping[0]);
    followed.floor = Math.max(followed.floor, ping[1]);
    this.#count('withdrawals watched to the next frame');
  }

  #takeProfile(frame, followed) {
    this.#checkFloor(frame, followed);
    const hadCursor = this.#answers(frame, followed) && followed.askedWithCursor;
    if ('reset' in frame && !hadCursor) throw new Fault('`reset` where no cursor was given');
    if (hadCursor) this.#count('reset' in frame ? 'resumes: reset' : 'resumes: continued by a profile');
    followed.document.replace(frame);
  }

  #takePatch(frame, followed) {
    this.#checkFloor(frame, followed);
    if (this.#answers(frame, followed)) {
      if (!followed.askedWithCursor) throw new Fault('a patch answers a subscribe without a cursor');
      if (frame.base_revision !== followed.document.revision) throw new Fault('the patch does not continue the cursor');
      this.#count('resumes: continued by a patch');
    } else if (followed.asked === null && !this.isResting && this.#random.next() * LOSES_ONE_IN < 1) {
      followed.hasLostOne = true;
      return;
    }
    const outcome = followed.document.patch(frame);
    this.#count(`patches ${outcome}`);
    if (outcome === 'applied' && followed.document.checkHash(frame)) this.#count('view hashes compared');
    if (outcome === 'gap' && followed.asked === null) {
      if (!followed.hasLostOne) {
        this.#fault(`a gap: ${followed.document.revision} is held, and the patch is ${frame.base_revision}`);
      }
      this.#count('gaps healed by the cursor');
      this.#subscribe([frame.user_id]);
    }
  }

  #takeError(frame, followed) {
    const { status } = frame.problem;
    if (status !== 404 || !this.#caller.scope.includes('third_party') || !this.#answers(frame, followed)) {
      throw new Fault(`an error ${status}`);
    }
    followed.document.drop();
    followed.isRefused = true;
  }

  #takeCompleteness(frame, followed) {
    const held = followed.document.profile?.profile_completeness_pct ?? frame.new_pct;
    if (held !== frame.new_pct && followed.asked === null && !followed.hasLostOne) {
      throw new Fault(`\`completeness\` speaks of ${frame.new_pct}, and the profile of ${held}`);
    }
    this.#report.completeness(this.#caller.name, frame, followed.document.revision);
  }

  // Whether the frame answers the subscribe that is still open.
  #answers(frame, followed) {
    if (frame.id === undefined || frame.id !== followed.asked) return false;
    followed.asked = null;
    return true;
  }

  #checkFloor(frame, followed) {
    if (frame.revision < followed.floor) {
      throw new Fault(`revision ${frame.revision} came after the withdrawal at ${followed.floor}`);
    }
  }

  #count(name) {
    this.#report.count(name);
  }

  #fault(text) {
    this.#report.fault(`${this.#caller.name}: ${text}`);
  }
}

module.exports = { Follower };
