/* SPDX-License-Identifier: Apache-2.0
 * bots: see the header. */
#include "collector/bots.h"

/* By first letter, lower case, each word ended by a NUL. Robots leave their address, browsers do not: http://
 */
static const char *const words_by_letter[26] = {
    ['a' - 'a'] = "apache-httpclient\0archiver\0",
    ['b' - 'a'] = "bot\0bytespider\0",
    ['c' - 'a'] = "crawl\0curl/\0",
    ['f' - 'a'] = "facebookexternalhit\0fetcher\0",
    ['g' - 'a'] = "go-http-client\0google-read-aloud\0",
    ['h' - 'a'] = "headlesschrome\0http://\0https://\0httpclient\0",
    ['j' - 'a'] = "java/\0",
    ['l' - 'a'] = "libwww\0lighthouse\0",
    ['m' - 'a'] = "mediapartners\0monitor\0",
    ['n' - 'a'] = "node-fetch\0",
    ['o' - 'a'] = "okhttp\0",
    ['p' - 'a'] = "phantomjs\0pingdom\0playwright\0python\0",
    ['r' - 'a'] = "ruby\0",
    ['s' - 'a'] = "scrap\0slurp\0spider\0",
    ['v' - 'a'] = "validator\0",
    ['w' - 'a'] = "web preview\0wget\0",
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Cubot makes telephones. */
static bool is_telephone(slice agent, size_t at)
{
    return at >= 2 && lower(agent.data[at - 1]) == 'u' && lower(agent.data[at - 2]) == 'c' &&
           lower(agent.data[at]) == 'b';
}

static bool stands_at(slice agent, size_t at, const char *word)
{
    size_t i = 0;
    while (word[i] != '\0' && at + i < agent.len && lower(agent.data[at + i]) == word[i])
        i++;
    return word[i] == '\0';
}

static bool any_stands_at(slice agent, size_t at, const char *word)
{
    while (*word != '\0') {
        if (stands_at(agent, at, word))
            return !is_telephone(agent, at);
        while (*word++ != '\0')
            ;
    }
    return false;
}

bool bots_is_named(slice agent)
{
    for (size_t at = 0; at < agent.len; at++) {
        unsigned letter = (unsigned)lower(agent.data[at]) - 'a';
        if (letter < 26 && words_by_letter[letter] && any_stands_at(agent, at, words_by_letter[letter]))
            return true;
    }
    return false;
}
