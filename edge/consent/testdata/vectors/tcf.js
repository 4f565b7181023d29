// SPDX-License-Identifier: Apache-2.0

// Writes TC strings with the IAB's encoders, and what their decoder reads in them.
'use strict';

const { chance, runs, print } = require('./chance.js');
const now = require('@iabtechlabtcf/core');
const before = require('@iabtcf/core');

const c = chance(2026);
const day = 24 * 3600 * 1000;

// A vendor list in which every vendor may have every purpose on either ground.
const vendorList = (most, share) => {
  const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  const vendors = {};
  for (const id of [...c.ids(most - 1, share), most]) {
    vendors[id] = {
      id, name: 'vendor ' + id, purposes: all, legIntPurposes: [2, 7, 8, 9, 10, 11], flexiblePurposes: all,
      specialPurposes: [1], features: [], specialFeatures: [1, 2], policyUrl: 'https://vendor.example/', usesCookies: false,
    };
  }
  const named = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [i + 1, { id: i + 1, name: 'n' + (i + 1), description: '', descriptionLegal: '' }]));
  return {
    gvlSpecificationVersion: 3, vendorListVersion: 1 + c.below(4000), tcfPolicyVersion: c.pick([4, 5]), lastUpdated: '2026-06-01T00:00:00Z',
    purposes: named(11), specialPurposes: named(3), features: named(3), specialFeatures: named(2), stacks: {}, dataCategories: {}, vendors,
  };
};

const sets = [
  ['specialFeatureOptins', 12, 0.3], ['purposeConsents', 24, 0.5], ['purposeLegitimateInterests', 24, 0.4],
  ['publisherConsents', 24, 0.5], ['publisherLegitimateInterests', 24, 0.4],
];
const vendorSets = ['vendorConsents', 'vendorLegitimateInterests', 'vendorsDisclosed', 'vendorsAllowed'];

// Shapes of a list of vendors, so that both encodings and their edges come.
const vendorShapes = {
  none: () => [],
  one: () => [1 + c.below(1500)],
  first: () => [1],
  last: () => [65535],
  few: () => c.ids(40, 0.4),
  dense: () => c.ids(300, 0.7),
  sparse: () => c.ids(1500, 0.01),
  block: () => Array.from({ length: 400 }, (_, i) => i + 1 + c.below(2)),
  'two blocks': () => [...Array.from({ length: 120 }, (_, i) => i + 1), ...Array.from({ length: 200 }, (_, i) => i + 800)],
  'a far one': () => [...c.ids(20, 0.5), 60000 + c.below(5535)],
  all: () => Array.from({ length: 1200 }, (_, i) => i + 1),
};

// The older library calls it by its older name.
const texts = (model) => ('useNonStandardTexts' in model ? 'useNonStandardTexts' : 'useNonStandardStacks');

const fill = (lib, model, shape) => {
  const at = new Date(Math.floor((Date.UTC(2025, 8, 1) + c.below(450) * day) / day) * day);
  model.created = at;
  model.lastUpdated = c.yes(0.8) ? at : new Date(at.getTime() + c.below(3000000) * 100);
  model.cmpId = 2 + c.below(4094);
  model.cmpVersion = c.below(4096);
  model.consentScreen = c.below(64);
  model.consentLanguage = c.pick(['EN', 'FR', 'DE', 'AA', 'ZZ', 'PT']);
  model.publisherCountryCode = c.pick(['AA', 'DE', 'FR', 'ZZ', 'GB']);
  model.vendorListVersion = c.below(4096);
  model.policyVersion = c.pick([2, 3, 4, 4, 5, 5, 63]);
  model.isServiceSpecific = c.yes(0.85);
  model[texts(model)] = c.yes();
  model.purposeOneTreatment = c.yes(0.2);
  for (const [name, most, share] of sets) model[name].set(c.ids(most, share));
  model.numCustomPurposes = c.pick([0, 0, 1, 7, 24, 63]);
  model.publisherCustomConsents.set(c.ids(model.numCustomPurposes, 0.5));
  model.publisherCustomLegitimateInterests.set(c.ids(model.numCustomPurposes, 0.5));
  for (const name of vendorSets) model[name].set(vendorShapes[name === 'vendorConsents' ? shape : c.pick(Object.keys(vendorShapes))]());
  if (c.yes(0.6)) {
    for (let n = 1 + c.below(6); n > 0; n--) {
      const r = new lib.PurposeRestriction(1 + c.below(c.yes(0.9) ? 11 : 24), c.below(3));
      for (const id of c.pick([c.ids(60, 0.3), [1 + c.below(900)], Array.from({ length: 50 }, (_, i) => i + 100)])) model.publisherRestrictions.add(id, r);
    }
  }
};

const expected = (m) => ({
  version: m.version, created: m.created.toISOString(), lastUpdated: m.lastUpdated.toISOString(),
  cmpId: m.cmpId, cmpVersion: m.cmpVersion, consentScreen: m.consentScreen, consentLanguage: m.consentLanguage,
  vendorListVersion: m.vendorListVersion, policyVersion: m.policyVersion,
  isServiceSpecific: m.isServiceSpecific, useNonStandardTexts: m[texts(m)],
  specialFeatureOptins: runs(m.specialFeatureOptins.values()),
  purposeConsents: runs(m.purposeConsents.values()), purposeLegitimateInterests: runs(m.purposeLegitimateInterests.values()),
  purposeOneTreatment: m.purposeOneTreatment, publisherCC: m.publisherCountryCode,
  vendorConsents: runs(m.vendorConsents.values()), vendorLegitimateInterests: runs(m.vendorLegitimateInterests.values()),
  publisherRestrictions: m.publisherRestrictions.getRestrictions().map((r) => ({
    purposeId: r.purposeId, restrictionType: r.restrictionType, vendors: runs(m.publisherRestrictions.getVendors(r)),
  })),
  vendorsDisclosed: runs(m.vendorsDisclosed.values()), vendorsAllowed: runs(m.vendorsAllowed.values()),
  publisherConsents: runs(m.publisherConsents.values()), publisherLegitimateInterests: runs(m.publisherLegitimateInterests.values()),
  numCustomPurposes: m.numCustomPurposes,
  publisherCustomConsents: runs(m.publisherCustomConsents.values()),
  publisherCustomLegitimateInterests: runs(m.publisherCustomLegitimateInterests.values()),
});

const vectors = [];
const add = (name, lib, text) => {
  const read = expected(lib.TCString.decode(text));
  if (text.length > 16384) throw new Error(name + ' is too long');
  vectors.push({ name, text, want: read });
};

const segments = ['core', 'vendorsDisclosed', 'vendorsAllowed', 'publisherTC'];

// Every segment by itself and in every order after the core, from the segment encoder.
const orders = [[], [1], [2], [3], [1, 3], [3, 1], [1, 2, 3], [3, 2, 1], [2, 1, 3], [2, 3]];
for (const [libName, lib] of [['1.5.21', now], ['1.5.6', before]]) {
  const everybody = new lib.GVL(vendorList(1500, 1));
  for (const shape of Object.keys(vendorShapes)) {
    for (const order of libName === '1.5.21' ? orders : orders.slice(0, 7)) {
      const model = new lib.TCModel();
      fill(lib, model, shape);
      model.publisherRestrictions.gvl = everybody; // its encoder joins ids that have no other vendor between them
      const encode = (s) => lib.SegmentEncoder.encode(model, segments[s]);
      add(`${shape} vendors, segments ${[0, ...order].join(' ')}, library ${libName}`, lib, [0, ...order].map(encode).join('.'));
    }
  }
  // What a consent platform would write: filtered by the vendor list.
  for (let i = 0; i < 30; i++) {
    const model = new lib.TCModel(new lib.GVL(vendorList(200 + c.below(1200), c.pick([0.3, 0.9, 1]))));
    fill(lib, model, c.pick(Object.keys(vendorShapes)));
    if (i % 3 === 0) {
      model.setAll();
      model.setAllVendorsDisclosed();
    }
    add(`platform ${i}, library ${libName}`, lib, lib.TCString.encode(model));
  }
}

print(vectors);
