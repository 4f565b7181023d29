// SPDX-License-Identifier: Apache-2.0

// A consent platform as many sites have it: vanilla-cookieconsent, which keeps its
// answer in a cookie of its own and tells it by Google Consent Mode. The tag reads
// that by itself; nothing here knows of the tag.

const words = JSON.parse(document.getElementById("platform").textContent);

/** The types of Consent Mode that each of the platform's categories stands for. */
const types = {
  functionality: ["functionality_storage", "personalization_storage"],
  analytics: ["analytics_storage"],
  ads: ["ad_storage", "ad_user_data", "ad_personalization"],
};

const { CookieConsent } = window;

const tell = () => {
  const states = Object.entries(types).flatMap(([category, names]) =>
    names.map((name) => [name, CookieConsent.acceptedCategory(category) ? "granted" : "denied"]));
  window.gtag("consent", "update", Object.fromEntries(states));
};

const buttons = { acceptAllBtn: words.accept, acceptNecessaryBtn: words.refuse };

CookieConsent.run({
  hideFromBots: false, // the shop is looked at by programs too
  categories: { functionality: {}, analytics: {}, ads: {} },
  language: {
    default: document.documentElement.lang,
    rtl: document.documentElement.dir === "rtl" ? document.documentElement.lang : undefined,
    translations: {
      [document.documentElement.lang]: {
        consentModal: { title: words.title, description: words.text, showPreferencesBtn: words.choose, ...buttons },
        preferencesModal: {
          title: words.title,
          savePreferencesBtn: words.save,
          closeIconLabel: words.save,
          ...buttons,
          sections: [
            { title: words["storage.name"], description: words["storage.text"], linkedCategory: "functionality" },
            { title: words["measure.name"], description: words["measure.text"], linkedCategory: "analytics" },
            { title: words["share.name"], description: words["share.text"], linkedCategory: "ads" },
          ],
        },
      },
    },
  },
  onConsent: tell,
  onChange: tell,
});
