// The user of an Authorization field with the Basic scheme (RFC 7617 section 2), for %(u)s.
// Pure. Decoding stops at the colon, so that the password never enters memory of ours.
#pragma once

#include <string>
#include <string_view>

namespace mono::log {

// Puts the user into `user` and returns true; false where the scheme is another one, the base64
// is broken, or no colon ends the user.
bool basic_user(std::string_view authorization, std::string& user);

}  // namespace mono::log
