/** Files like /etc/resolv.conf (resolv.conf(5)) as DNS settings of a result. */
import type { Dns } from '#lib/cni/config.ts';

/**
 * Reads the lines that name servers and domains; of several `domain` lines the last counts, the
 * others add up.
 */
export function parseResolvConf(text: string): Dns {
  const dns = {
    nameservers: [] as string[],
    domain: '',
    search: [] as string[],
    options: [] as string[],
  };
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line.startsWith('#') || line.startsWith(';')) continue;
    const [keyword, ...values] = line.split(/\s+/);
    const [first] = values;
    if (first === undefined) continue;
    if (keyword === 'nameserver') dns.nameservers.push(first);
    else if (keyword === 'domain') dns.domain = first;
    else if (keyword === 'search') dns.search.push(...values);
    else if (keyword === 'options') dns.options.push(...values);
  }
  return dns;
}
