'use strict';
// The canonical form of JSON (RFC 8785): JavaScript's own numbers and strings, members sorted by UTF-16 code units.

const { createHash } = require('node:crypto');

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(',')}}`;
}

function canonicalHash(value) {
  return createHash('sha256').update(canonical(value), 'utf8').digest('hex');
}

module.exports = { canonical, canonicalHash };
