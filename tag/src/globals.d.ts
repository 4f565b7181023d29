// SPDX-License-Identifier: Apache-2.0

// What the tag meets on a page that the DOM library does not describe.

/** Whether the build has slots. What only they need is left out where it has none. */
declare const HAS_SLOTS: boolean;

/** Whether the build reads TCF, GPP and Consent Mode. */
declare const HAS_PLATFORMS: boolean;

interface Window {
  dataLayer?: unknown[];
  /** The queue of the snippet, q, is 0 once a tag without slots has taken over. */
  near?: { (command: string, ...args: any[]): void; q?: [string, ...any[]][] | 0 };
  __tcfapi?: (command: "addEventListener", version: 2, listener: (data: TCData | null) => void) => void;
  __gpp?: (command: "addEventListener", listener: (event: { pingData: PingData } | null) => void) => void;
}

/** What a TCF platform says: IAB Tech Lab, "Consent Management Platform API v2". */
interface TCData {
  gdprApplies?: boolean;
  eventStatus: string;
  tcString: string;
  purpose?: { consents: Record<number, boolean>; legitimateInterests?: Record<number, boolean> };
  specialFeatureOptins?: Record<number, boolean>;
}

/** What a GPP platform says: IAB Tech Lab, "Global Privacy Platform, CMP API Specification". */
interface PingData {
  signalStatus: string;
  gppString: string;
  applicableSections: number[];
  /** The sections that are in the string. */
  sectionList?: number[];
  parsedSections?: Record<string, unknown>;
}

interface Navigator {
  readonly globalPrivacyControl?: boolean;
}

interface Document {
  readonly prerendering?: boolean;
}
