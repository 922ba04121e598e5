#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Writes the small MaxMind databases beside this file; the places are real ones, the networks are rounded and made up.
# Run it by hand after a change and commit what it writes: needs libmaxmind-db-writer-perl, writes the same bytes every
# time.
#
#   world.mmdb      nested records as in GeoLite2-City, doubles, IPv4 and IPv6
#   flat_v4.mmdb    the same places as flat records with floats, IPv4 only
#   flat_v6.mmdb    the same for IPv6
#   country.mmdb    nested, countries only, among them some that world.mmdb places elsewhere
#   odd_flat.mmdb, odd_nested.mmdb   what is legal or nearly so and must be read with care
#   wrong_city.mmdb     a city that is a number, where the check at open does not look
#   wrong_country.mmdb  a country that is a number, where it does
#   asn.mmdb        a sound database that holds no places
#   truncated.mmdb, empty.mmdb
use strict;
use warnings;
use utf8;
use FindBin qw($Bin);
use MaxMind::DB::Writer::Tree;

my $built_at = 1_735_689_600;    # 2025-01-01

my %nested = (
    city => 'map', country => 'map', en => 'utf8_string', iso_code => 'utf8_string', latitude => 'double',
    location => 'map', longitude => 'double', names => 'map', subdivisions => [ 'array', 'map' ], de => 'utf8_string',
);
my %flat = (
    city => 'utf8_string', country_code => 'utf8_string', latitude => 'float', longitude => 'float',
    state1 => 'utf8_string',
);

# country, state, city, latitude, longitude, networks
my @world = (
    [ 'AU', 'New South Wales', 'Sydney', -33.8688, 151.2093, '1.0.0.0/8' ],
    [ 'US', 'California', 'Mountain View', 37.4056, -122.0775, '8.0.0.0/8', '2001:4860::/32' ],
    [ 'GB', 'England', 'London', 51.5074, -0.1278, '81.0.0.0/8' ],
    [ 'DE', 'Bayern', 'München', 48.1374, 11.5755, '85.0.0.0/8', '2003::/16' ],
    [ 'IN', 'Karnataka', 'Bengaluru', 12.9719, 77.5937, '106.0.0.0/8', '2405::/16' ],
    [ 'JP', '東京都', '千代田区', 35.694, 139.7536, '133.0.0.0/8', '240b::/16' ],
    [ 'BR', 'São Paulo', 'São Paulo', -23.5475, -46.6361, '177.0.0.0/8', '2804::/16' ],
    [ 'CN', undef, undef, 34.7725, 113.7266, '36.0.0.0/8' ],
);

sub nested_record {
    my ( $country, $state, $city, $latitude, $longitude ) = @_;
    my %record = ( country => { iso_code => $country } );
    $record{subdivisions} = [ { names => { en => $state } } ] if defined $state;
    $record{city} = { names => { en => $city } } if defined $city;
    $record{location} = { latitude => $latitude, longitude => $longitude } if defined $latitude;
    return \%record;
}

sub flat_record {
    my ( $country, $state, $city, $latitude, $longitude ) = @_;
    return {
        country_code => $country, state1 => $state // q{}, city => $city // q{},
        latitude => $latitude, longitude => $longitude,
    };
}

sub write_database {
    my ( $name, $type, $version, $types, @networks ) = @_;
    my $tree = MaxMind::DB::Writer::Tree->new(
        ip_version => $version, record_size => 24, database_type => $type, languages => ['en'], description => { en => 'test' },
        map_key_type_callback => sub { $types->{ $_[0] } }, remove_reserved_networks => 0, _build_epoch => $built_at,
    );
    while ( my ( $network, $record ) = splice @networks, 0, 2 ) {
        $tree->insert_network( $network, $record );
    }
    open my $file, '>:raw', "$Bin/$name.mmdb" or die "$name: $!";
    $tree->write_tree($file);
    close $file or die "$name: $!";
}

# (network => record) of all places, whose networks match the pattern.
sub world_as {
    my ( $make_record, $pattern ) = @_;
    my @networks;
    for my $place (@world) {
        my ( $country, $state, $city, $latitude, $longitude, @of_place ) = @$place;
        my $record = $make_record->( $country, $state, $city, $latitude, $longitude );
        push @networks, map { $_ => $record } grep { $_ =~ $pattern } @of_place;
    }
    return @networks;
}

write_database( 'world', 'GeoLite2-City', 6, \%nested, world_as( \&nested_record, qr/./ ) );
write_database( 'flat_v4', 'city ipv4', 4, \%flat, world_as( \&flat_record, qr/[.]/ ) );
write_database( 'flat_v6', 'city ipv6', 6, \%flat, world_as( \&flat_record, qr/::/ ) );
write_database(
    'country', 'country ipvAll', 6, \%nested,
    '1.0.0.0/8' => nested_record('NZ'), '36.0.0.0/8' => nested_record('TW'), '41.0.0.0/8' => nested_record('ZA'),
    '2c0f::/16' => nested_record('KE'),
);

write_database(
    'odd_flat', 'city ipv4', 4, \%flat,
    '20.0.0.0/8' => flat_record( 'US', '', '', 38.9, -77.0 ),
    '22.0.0.0/8' => flat_record( '-', '-', '-', 0, 0 ),
    '23.0.0.0/8' => flat_record( 'FR', 'x' x 300, 'é' x 200, 1, 2 ),
    '25.0.0.0/8' => flat_record( 'FR', 'Bretagne', 'Brest', 91, 0 ),
    '26.0.0.0/8' => flat_record( 'FR', "Bre\x{1}ta\tgne", ' Brest ', 48.4, -4.5 ),
    '27.0.0.0/8' => flat_record( 'FR', 'a"b', 'c\\d', 48.4, -4.5 ),
    '28.0.0.0/8' => flat_record( 'fra', '-', 'Brest', 48.4, -4.5 ),
    '203.0.113.0/24' => flat_record( 'FR', '-', 'Brest', 48.4, -4.5 ),
);
write_database(
    'odd_nested', 'GeoLite2-City', 6, \%nested,
    '20.0.0.0/8' => { country => { iso_code => 'US' }, city => {}, subdivisions => [] },
    '21.0.0.0/8' => { country => { iso_code => 'AT' }, city => { names => { de => 'Wien' } }, location => { latitude => 48.2 } },
    '22.0.0.0/8' => { location => { latitude => 48.2, longitude => 16.4 } },
    '2001:db8::/32' => nested_record( 'FR', 'Bretagne', 'Brest', 48.4, -4.5 ),
);
write_database( 'wrong_city', 'city ipv4', 4, { %flat, city => 'uint32' }, '20.0.0.0/8' => { country_code => 'FR', city => 7 } );
write_database( 'wrong_country', 'city ipv4', 4, { %flat, country_code => 'uint32' }, '8.0.0.0/8' => { country_code => 7 } );
write_database(
    'asn', 'GeoLite2-ASN', 4, { autonomous_system_number => 'uint32' }, '8.0.0.0/8' => { autonomous_system_number => 15_169 },
);

open my $whole, '<:raw', "$Bin/world.mmdb" or die $!;
read $whole, my $half, ( -s $whole ) / 2;
for my $cut ( [ 'truncated', $half ], [ 'empty', q{} ] ) {
    open my $file, '>:raw', "$Bin/$cut->[0].mmdb" or die $!;
    print {$file} $cut->[1];
    close $file or die $!;
}
