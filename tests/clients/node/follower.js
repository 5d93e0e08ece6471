'use strict';
// One follower of the Node group: it connects, subscribes, resumes and handles frames as the contract says.

const WebSocket = require('ws');
const { Document, Fault } = require('./document');
const { Random } = require('./random');

const TOKEN_EXPIRED = 4401;
// Close codes that the run causes itself: by disconnecting and by expired tokens. A killed server sends none.
const EXPECTED_CLOSES = new Set([1000, 1005, 1006, TOKEN_EXPIRED]);
const LONG_LIFE_S = 3000;
// Lifetimes of a token that is renewed, and of one that is not.
const RENEWED_LIFE_S = 5;
const SHORT_LIFE_S = 2;
const RENEW_AFTER_S = 1.5;
const RETRY_HIDDEN_AFTER_S = 2.5;
// One patch in this many is discarded, as if the client had lost it; the next patch shows the gap.
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
  #subscribeCount = 0;
  isResting = false;

  constructor(caller, minter, seed, report) {
    this.#caller = caller;
    this.#minter = minter;
    this.#random = new Random(`${seed} node ${caller.name}`);
    this.#report = report;
    this.users = new Map(caller.users.map((user) => [user, {
      document: new Document(),
      // The `id` of the subscribe that is not answered yet, and whether it had a cursor.
      pendingId: null,
      pendingHasCursor: false,
      hasLostPatch: false,
      isRefused: false,
      // No frame may have an older revision: it could contain data that was withdrawn since.
      minRevision: 0,
    }]));
  }

  // Connects to the server at `address`; `null` ends the follower.
  serverIsAt(address) {
    this.#address = address;
    if (this.#socket === null && address !== null) this.#connect();
    else this.#socket?.terminate();
  }

  #connect() {
    const headers = { authorization: `Bearer ${this.#token()}` };
    if (this.#caller.role === 'admin') headers['x-access-reason'] = 'test with independent clients';
    const socket = new WebSocket(`ws://${this.#address}/api/v2/live`, 'civic-profile.v1', { headers });
    this.#socket = socket;
    this.#pings = [];
    socket.on('open', () => this.#opened());
    socket.on('message', (data) => this.#onFrame(data.toString()));
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
    // While the server is down, this is repeated.
    if (this.#address !== null) setTimeout(() => this.#socket === null && this.#address && this.#connect(), 50);
  }

  // Returns a new token. At rest tokens are long-lived, so that no socket closes.
  #token() {
    const { token } = this.#caller;
    if (token === 'renewed') return this.#minter.forCaller(this.#caller, RENEWED_LIFE_S);
    const lasts = token === 'lasting' || this.isResting;
    return this.#minter.forCaller(this.#caller, lasts ? LONG_LIFE_S : SHORT_LIFE_S);
  }

  // Sent messages.

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #subscribe(ids) {
    const id = `ask-${this.#subscribeCount += 1}`;
    const users = ids.map((user) => {
      const followed = this.users.get(user);
      const { cursor } = followed.document;
      const pending = { pendingId: id, pendingHasCursor: cursor !== null };
      Object.assign(followed, pending, { isRefused: false, hasLostPatch: false });
      return cursor === null ? { user_id: user } : { user_id: user, cursor };
    });
    const fields = this.#caller.fields === null ? {} : { fields: this.#caller.fields };
    this.#send({ type: 'subscribe', id, users, schema_version: '2.0', ...fields });
  }

  #leaveLater() {
    this.#timers.push(setTimeout(() => this.#leave(), this.#random.wait(this.#caller.disconnect_after_s) * 1000));
  }

  #leave() {
    if (this.isResting) return this.#leaveLater();
    if (this.#random.next() < 0.5) {
      this.#count('disconnected with a close');
      this.#socket.close();
    } else {
      this.#count('disconnected without a close');
      this.#socket.terminate();
    }
  }

  #renew(ageS) {
    this.#send({ type: 'auth', token: this.#token() });
    this.#count('tokens renewed');
    const over = ageS - RENEWED_LIFE_S - 3;
    if (over >= 0 && over < RENEW_AFTER_S) this.#count('sockets that outlived their first token');
  }

  #retryRefused() {
    const refused = [...this.users].filter(([, followed]) => followed.isRefused).map(([user]) => user);
    if (refused.length > 0) this.#subscribe(refused);
  }

  // Sends a ping after a consent change at `revision`. After its pong no frame may be older.
  withdrawn(user, revision) {
    if (!this.users.has(user) || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#pings.push([user, revision]);
    this.#send({ type: 'ping' });
  }

  // Stops or resumes voluntary disconnects and lost patches. At rest, lost patches are requested again.
  rest(isResting) {
    this.isResting = isResting;
    if (this.#caller.token === 'expiring') this.#send({ type: 'auth', token: this.#token() });
    const lost = [...this.users].filter(([, followed]) => followed.hasLostPatch).map(([user]) => user);
    if (isResting && lost.length > 0) this.#subscribe(lost);
  }

  // Received frames.

  #onFrame(text) {
    const frame = JSON.parse(text);
    const followed = this.users.get(frame.user_id);
    try {
      this.#dispatch(frame, followed);
    } catch (error) {
      this.#fault(`${frame.user_id}: ${error.name} ${error.message}: ${text.slice(0, 300)}`);
    }
    this.#report.frame(this.#caller.name, followed?.document.leaves() ?? [], text);
    if (this.#caller.is_slow && !this.isResting && this.#random.next() < 0.005) this.#pause();
  }

  #pause() {
    this.#count('pauses in reading');
    const socket = this.#socket;
    socket.pause();
    setTimeout(() => socket.resume(), 1500);
  }

  #dispatch(frame, followed) {
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
    followed.minRevision = Math.max(followed.minRevision, ping[1]);
    this.#count('withdrawals checked with a ping');
  }

  #takeProfile(frame, followed) {
    this.#checkMinRevision(frame, followed);
    const hadCursor = this.#answers(frame, followed) && followed.pendingHasCursor;
    if ('reset' in frame && !hadCursor) throw new Fault('`reset` where no cursor was given');
    if (hadCursor) this.#count('reset' in frame ? 'resumes: reset' : 'resumes: continued by a profile');
    followed.document.replace(frame);
  }

  #takePatch(frame, followed) {
    this.#checkMinRevision(frame, followed);
    if (this.#answers(frame, followed)) {
      if (!followed.pendingHasCursor) throw new Fault('a patch answers a subscribe without a cursor');
      if (frame.base_revision !== followed.document.revision) throw new Fault('the patch does not continue the cursor');
      this.#count('resumes: continued by a patch');
    } else if (followed.pendingId === null && !this.isResting && this.#random.next() * LOSES_ONE_IN < 1) {
      followed.hasLostPatch = true;
      return;
    }
    const outcome = followed.document.patch(frame);
    this.#count(`patches ${outcome}`);
    if (outcome === 'applied' && followed.document.checkHash(frame)) this.#count('view hashes compared');
    if (outcome === 'gap' && followed.pendingId === null) {
      if (!followed.hasLostPatch) {
        this.#fault(`a gap: ${followed.document.revision} is held, and the patch is ${frame.base_revision}`);
      }
      this.#count('gaps closed by the cursor');
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
    if (held !== frame.new_pct && followed.pendingId === null && !followed.hasLostPatch) {
      throw new Fault(`\`completeness\` has ${frame.new_pct}, and the profile ${held}`);
    }
    this.#report.completeness(this.#caller.name, frame, followed.document.revision);
  }

  // Whether the frame answers the pending subscribe.
  #answers(frame, followed) {
    if (frame.id === undefined || frame.id !== followed.pendingId) return false;
    followed.pendingId = null;
    return true;
  }

  #checkMinRevision(frame, followed) {
    if (frame.revision < followed.minRevision) {
      throw new Fault(`revision ${frame.revision} came after the withdrawal at ${followed.minRevision}`);
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
