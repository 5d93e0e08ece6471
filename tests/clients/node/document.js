'use strict';
// A follower's copy of one profile, kept by the contract's rules for a client. proof/document.py implements the same
// rules independently.

const { applyPatch } = require('fast-json-patch');
const { canonicalHash } = require('./canonical');

const ENVELOPE = new Set([
  'schema_version', 'profile_id', 'revision', 'generated_at', 'assembly_latency_ms', 'profile_hash',
]);

class Fault extends Error {}

class Document {
  constructor() {
    this.profile = null;
    this.revision = 0;
    this.cursor = null;
    // The highest revision that was ever held. Published revisions are durable, so no older one may follow.
    this.newest = 0;
  }

  drop() {
    this.profile = null;
    this.revision = 0;
    this.cursor = null;
  }

  replace(frame) {
    if (frame.revision < this.newest) throw new Fault(`revision ${frame.revision} follows ${this.newest}`);
    if (frame.profile.revision !== frame.revision) throw new Fault("the frame's revision is not the profile's");
    this.profile = frame.profile;
    this.#advanceTo(frame);
  }

  // Applies a `patch` frame. Returns 'applied', 'ignored' if the revision is already held, or 'gap'.
  patch(frame) {
    if (this.profile === null) throw new Fault('there is nothing to patch');
    if (frame.base_revision !== this.revision) return frame.revision <= this.revision ? 'ignored' : 'gap';
    const validate = true;
    this.profile = applyPatch(this.profile, frame.operations, validate).newDocument;
    for (const [member, value] of Object.entries(frame.envelope)) {
      if (!ENVELOPE.has(member)) throw new Fault(`\`envelope\` holds ${member}`);
      this.profile[member] = value;
    }
    if (this.profile.revision !== frame.revision) {
      throw new Fault(`the patch to ${frame.revision} leads to ${this.profile.revision}`);
    }
    this.#advanceTo(frame);
    return 'applied';
  }

  // Compares `view_hash`. Returns whether the frame had one.
  checkHash(frame) {
    if (frame.view_hash === undefined) return false;
    const held = canonicalHash(this.profile);
    if (frame.view_hash !== held) throw new Fault(`\`view_hash\` is ${frame.view_hash}, what is held has ${held}`);
    return true;
  }

  // Returns the dotted paths of the profile's leaves: the members of each section, and the other members themselves.
  leaves() {
    const found = [];
    for (const [name, value] of Object.entries(this.profile ?? {})) {
      if (ENVELOPE.has(name)) continue;
      const isSection = typeof value === 'object' && !Array.isArray(value);
      if (isSection) for (const leaf of Object.keys(value)) found.push(`${name}.${leaf}`);
      else found.push(name);
    }
    return found;
  }

  #advanceTo(frame) {
    this.revision = frame.revision;
    this.newest = Math.max(this.newest, frame.revision);
    this.cursor = frame.cursor;
  }
}

module.exports = { Document, Fault };
